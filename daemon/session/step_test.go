package session

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// Setting the clock ends no session, of neither engine, and keeps none: each timer is due when its time has passed.
func TestClockSteps(t *testing.T) {
	start := time.Now()
	for _, step := range []time.Duration{-time.Hour, -time.Minute, time.Minute, time.Hour, 20 * 365 * 24 * time.Hour} {
		for _, tt := range []struct {
			limits Limits
			due    Due
		}{
			{Limits{PingRestart: 60 * time.Second}, PingRestartDue},
			{Limits{PingExit: 60 * time.Second}, PingExitDue},
			{Limits{Ping: 60 * time.Second}, PingDue},
			{Limits{Inactive: 60 * time.Second, InactiveBytes: 1}, InactiveDue},
			{Limits{Session: 60 * time.Second}, SessionTimeoutDue},
		} {
			var tr Traffic
			tm := Timers{Limits: tt.limits}
			tr.Begin(start)
			tr.Heard(start)
			tr.Sent(start)
			tm.Open()
			tm.Age(start)
			tm.Use(&tr, start)
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(50*time.Second), step)); due != NothingDue {
				t.Errorf("step of %v: %v due after 50 s of 60", step, due)
			}
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(61*time.Second), step)); due != tt.due {
				t.Errorf("step of %v: %v due after 61 s, want %v", step, due, tt.due)
			}
			// What is noted after the step counts from then.
			tr.Heard(clock.Stepped(start.Add(55*time.Second), step))
			tr.Sent(clock.Stepped(start.Add(55*time.Second), step))
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(100*time.Second), step)); due == PingDue || due == PingRestartDue || due == PingExitDue {
				t.Errorf("step of %v: %v due 45 s after the last packet", step, due)
			}
		}
	}
}
