//go:build race

package server

import "time"

// statusBudget allows for the race detector.
const statusBudget = 800 * time.Millisecond
