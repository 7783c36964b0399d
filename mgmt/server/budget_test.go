//go:build !race

package server_test

import "time"

// logBudget is the time a log history of 100,000 lines may take.
const logBudget = 200 * time.Millisecond
