package session

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A session's life, second by second: what happens at a second, and what is due then.
func TestTimers(t *testing.T) {
	const s = time.Second
	heard := func(tr *Traffic, now time.Time) { tr.Heard(now) }
	sent := func(tr *Traffic, now time.Time) { tr.Sent(now) }
	in := func(n uint64) func(*Traffic, time.Time) { return func(tr *Traffic, _ time.Time) { tr.TunIn.Add(n) } }
	out := func(n uint64) func(*Traffic, time.Time) { return func(tr *Traffic, _ time.Time) { tr.TunOut.Add(n) } }
	type happens map[int]func(*Traffic, time.Time)
	for _, c := range []struct {
		name   string
		limits Limits
		open   bool
		age    bool
		use    bool
		events happens
		due    Due
		at     int // second; -1: nothing in a minute
	}{
		{name: "no limits", open: true, age: true, use: true, at: -1},
		{name: "a silent peer", limits: Limits{PingRestart: 10 * s}, due: PingRestartDue, at: 10},
		{name: "a peer that is heard", limits: Limits{PingRestart: 10 * s}, events: happens{7: heard}, due: PingRestartDue, at: 17},
		{name: "ping-exit", limits: Limits{PingExit: 10 * s}, due: PingExitDue, at: 10},
		{name: "ping-exit before ping-restart", limits: Limits{PingRestart: 5 * s, PingExit: 10 * s}, due: PingExitDue, at: 10},
		{name: "ping-timer-rem, never heard", limits: Limits{PingRestart: 10 * s, AfterFirst: true}, at: -1},
		{name: "ping-timer-rem, heard", limits: Limits{PingRestart: 10 * s, AfterFirst: true}, events: happens{20: heard}, due: PingRestartDue, at: 30},
		{name: "a ping without a channel", limits: Limits{Ping: 5 * s}, at: -1},
		{name: "a ping, nothing sent before", limits: Limits{Ping: 5 * s}, open: true, due: PingDue, at: 0},
		{name: "a ping after silence", limits: Limits{Ping: 5 * s}, open: true, events: happens{0: sent, 3: sent}, due: PingDue, at: 8},
		{name: "an end comes before a ping", limits: Limits{Ping: 5 * s, PingRestart: 5 * s}, open: true, events: happens{0: sent}, due: PingRestartDue, at: 5},
		{name: "inactive, not up", limits: Limits{Inactive: 10 * s}, at: -1},
		{name: "inactive", limits: Limits{Inactive: 10 * s}, use: true, due: InactiveDue, at: 10},
		{name: "inactive, one byte", limits: Limits{Inactive: 10 * s}, use: true, events: happens{8: in(1)}, due: InactiveDue, at: 18},
		{name: "inactive, bytes that do not suffice", limits: Limits{Inactive: 10 * s, InactiveBytes: 100}, use: true, events: happens{4: in(50), 8: out(49)}, due: InactiveDue, at: 10},
		{name: "inactive, bytes of both directions add up", limits: Limits{Inactive: 10 * s, InactiveBytes: 100}, use: true, events: happens{4: in(50), 8: out(50)}, due: InactiveDue, at: 18},
		{name: "session-timeout, not counting", limits: Limits{Session: 10 * s}, at: -1},
		{name: "session-timeout", limits: Limits{Session: 10 * s}, age: true, events: happens{9: heard}, due: SessionTimeoutDue, at: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr Traffic
			tr.Begin(start)
			timers := Timers{Limits: c.limits}
			if c.open {
				timers.Open()
			}
			if c.age {
				timers.Age(start)
			}
			if c.use {
				timers.Use(&tr, start)
			}
			wake := start
			for sec := 0; sec <= 60; sec++ {
				now := start.Add(time.Duration(sec) * s)
				if f := c.events[sec]; f != nil {
					f(&tr, now)
				}
				due, next := timers.Check(&tr, now)
				if due != NothingDue {
					if due != c.due || sec != c.at {
						t.Errorf("%d is due at second %d, want %d at %d", due, sec, c.due, c.at)
					}
					if wake.IsZero() || wake.After(now) {
						t.Errorf("due at %v, and the last deadline was %v", now, wake)
					}
					return
				}
				if !next.IsZero() && !next.After(now) {
					t.Fatalf("second %d: nothing is due, and the next deadline is %v", sec, next)
				}
				wake = next
			}
			if c.at >= 0 {
				t.Errorf("nothing was due, want %d at second %d", c.due, c.at)
			}
		})
	}
}

func TestTrafficRemembersWhen(t *testing.T) {
	var tr Traffic
	tr.Begin(start)
	if at, ok := tr.LastHeard(); ok || !at.Equal(start) || !tr.LastSent().IsZero() {
		t.Errorf("at the beginning: heard %v %v, sent %v", at, ok, tr.LastSent())
	}
	tr.Heard(start.Add(time.Second))
	tr.Sent(start.Add(time.Minute))
	if at, ok := tr.LastHeard(); !ok || !at.Equal(start.Add(time.Second)) {
		t.Errorf("heard %v %v", at, ok)
	}
	if at := tr.LastSent(); !at.Equal(start.Add(time.Minute)) {
		t.Errorf("sent %v", at)
	}
}

func TestEarliest(t *testing.T) {
	a, b, none := start, start.Add(1), time.Time{}
	for _, c := range []struct{ a, b, want time.Time }{{a, b, a}, {b, a, a}, {a, none, a}, {none, a, a}, {none, none, none}} {
		if got := Earliest(c.a, c.b); !got.Equal(c.want) {
			t.Errorf("Earliest(%v, %v) = %v", c.a, c.b, got)
		}
	}
}
