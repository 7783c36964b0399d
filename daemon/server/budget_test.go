//go:build !race

package server

import "time"

// statusBudget is the processor time that a report may take, both ends together.
const statusBudget = 60 * time.Millisecond
