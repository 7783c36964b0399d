//go:build !unix

package repl

import "os"

// redrawLine does nothing: there is no signal that makes liner redraw.
func redrawLine() {}

// cancellableStdin is nil: a prompt ends at the next Enter.
func cancellableStdin() *os.File { return nil }
