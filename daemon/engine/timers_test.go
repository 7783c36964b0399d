package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// Each timer of a session that can be due has its end, and only those that end something.
func TestTimerEnds(t *testing.T) {
	for due := session.NothingDue; due <= session.SessionTimeoutDue; due++ {
		e, ok := EndOf(due)
		if want := due != session.NothingDue && due != session.PingDue; ok != want {
			t.Errorf("timer %d ends a session: %v, want %v", due, ok, want)
		}
		if ok && (e.Line == "" || e.Reason == "" || e.Signal != USR1 && e.Signal != TERM) {
			t.Errorf("timer %d: %+v", due, e)
		}
	}
}

// The log names the timers that options switch on, in stock's order.
func TestTimerNames(t *testing.T) {
	o, err := config.Parse([]string{
		"--client", "--dev", "tun", "--remote", "192.0.2.1", "--ca", "ca.crt", "--cert", "c.crt", "--key", "c.key", "--ping", "10", "--ping-exit", "60", "--inactive", "600", "1000", "--session-timeout", "3600",
	}, config.Env{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	l := Timers(o.Timers)
	if got, want := TimerNames(&l), []string{"ping 10", "ping-exit 60", "inactive 600", "session-timeout 3600"}; !slices.Equal(got, want) {
		t.Errorf("timers %q, want %q", got, want)
	}
	if l.InactiveBytes != 1000 || l.Session != time.Hour {
		t.Errorf("limits %+v", l)
	}
	if got := TimerNames(new(session.Limits)); len(got) != 0 {
		t.Errorf("no timers: %q", got)
	}
}
