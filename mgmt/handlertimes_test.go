package mgmt

import (
	"testing"
	"time"
)

func TestHandlerTimes(t *testing.T) {
	var a, b HandlerTimes
	for _, d := range []time.Duration{0, time.Millisecond, 2 * time.Millisecond, time.Second, time.Hour} {
		a.Observe(d)
	}
	b.Observe(time.Minute)
	a.Add(b)
	if want := [...]uint64{3, 0, 1, 0, 2}; a.Counts != want {
		t.Errorf("counts %v, want %v", a.Counts, want)
	}
	if a.Seconds < 3661 || a.Seconds > 3662 {
		t.Errorf("%v seconds", a.Seconds)
	}
}
