package fleet

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// A machine that was suspended has a calendar that went on and a clock that stood still: what was sure for an hour is not any more.
func TestPast(t *testing.T) {
	now := time.Now()
	fence := now.Add(time.Hour)
	for step, want := range map[time.Duration]bool{0: false, 30 * time.Minute: false, 2 * time.Hour: true, -2 * time.Hour: false} {
		if got := past(fence, clock.Stepped(now, step)); got != want {
			t.Errorf("the calendar has gone on by %v: past is %v", step, got)
		}
	}
	if !past(fence, clock.Stepped(now.Add(2*time.Hour), -3*time.Hour)) {
		t.Error("a calendar that was set back makes it sure again")
	}
}
