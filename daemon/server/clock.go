package server

import "time"

// started is where seconds count from.
var started = time.Now()

// second is a time in whole seconds since the start of the program. It follows the monotonic clock, so that a step of the
// system's clock makes nothing old.
func second(now time.Time) int64 { return int64(now.Sub(started) / time.Second) }

// wallTime is a second as a time to print.
func wallTime(s int64, now time.Time) time.Time {
	return now.Add(-time.Duration(second(now)-s) * time.Second)
}
