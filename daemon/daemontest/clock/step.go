// Package clock makes times as they look after the system's clock was set.
package clock

import (
	"fmt"
	"time"
	"unsafe"
)

// A time with a monotonic part keeps its wall part as 33 bits of seconds, in front of 30 bits of nanoseconds.
const (
	hasMonotonic = 1 << 63
	nanoBits     = 30
)

// Stepped is t, which has a monotonic part, as the system would have it had its clock been set by step, in whole seconds,
// a moment ago: the wall time differs, the monotonic time does not. There is no other way to make one: fake time moves both.
func Stepped(t time.Time, step time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t)) // the first field of a time.Time
	before := t
	if *wall&hasMonotonic == 0 {
		panic("clock: a time without a monotonic part")
	}
	*wall += uint64(int64(step/time.Second)) << nanoBits //nolint:gosec // a step back wraps around
	if t.Sub(before) != 0 || t.Unix()-before.Unix() != int64(step/time.Second) {
		panic(fmt.Sprintf("clock: %v is not %v stepped by %v", t, before, step))
	}
	return t
}
