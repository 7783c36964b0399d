//go:build race

package server_test

import "time"

// logBudget allows for the race detector.
const logBudget = 3 * time.Second
