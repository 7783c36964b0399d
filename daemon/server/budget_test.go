//go:build !race

package server

import "time"

// statusBudget is the time a report may take.
const statusBudget = 20 * time.Millisecond
