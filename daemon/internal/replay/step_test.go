package replay

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// The time limit of the window does not feel a step of the clock.
func TestClockSteps(t *testing.T) {
	now := time.Now()
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		w := New(64, 15*time.Second)
		w.Accept(5, now)
		w.Accept(9, clock.Stepped(now.Add(time.Second), step))
		if !w.Accept(6, clock.Stepped(now.Add(10*time.Second), step)) {
			t.Errorf("step of %v: an id that is 9 s late is refused", step)
		}
		w.Accept(20, clock.Stepped(now.Add(11*time.Second), step))
		if w.Accept(7, clock.Stepped(now.Add(40*time.Second), step)) {
			t.Errorf("step of %v: an id that is 39 s late is accepted", step)
		}
	}
}
