package engine

import "sync/atomic"

// Totals are the bytes of all links since the process started, restarts included.
type Totals struct{ In, Out atomic.Uint64 }
