package engine

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Timers returns the limits that options set for a session. A new timer has its line here, in TimerNames and in timerEnds; its
// option has a field and a row in package config, and its clock is in package session.
func Timers(o config.Timers) session.Limits {
	return session.Limits{
		Ping: o.Ping, PingRestart: o.PingRestart, PingExit: o.PingExit, AfterFirst: o.PingTimerRem,
		Inactive: o.Inactive, InactiveBytes: uint64(max(o.InactiveBytes, 0)), Session: o.SessionTimeout,
	}
}

// TimerNames lists the timers that are on as the log has them: "ping 10", in seconds.
func TimerNames(l *session.Limits) []string {
	var names []string
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"ping", l.Ping}, {"ping-exit", l.PingExit}, {"ping-restart", l.PingRestart}, {"inactive", l.Inactive}, {"session-timeout", l.Session}} {
		if t.d > 0 {
			names = append(names, fmt.Sprintf("%s %d", t.name, int(t.d/time.Second)))
		}
	}
	return names
}

// TimerEnd says how a session ends whose time is over.
type TimerEnd struct {
	Line   string // of the log
	Named  bool   // the log has the peer's name in front of Line
	Signal Signal // USR1: the session starts again; TERM: it is over
	Reason string
}

var timerEnds = map[session.Due]TimerEnd{
	session.PingRestartDue:    {"Inactivity timeout (--ping-restart), restarting", true, USR1, mgmt.ReasonPingRestart},
	session.PingExitDue:       {"Inactivity timeout (--ping-exit), exiting", true, TERM, mgmt.ReasonPingExit},
	session.InactiveDue:       {"Inactivity timeout (--inactive), exiting", false, TERM, mgmt.ReasonInactive},
	session.SessionTimeoutDue: {"Session timeout, exiting", false, TERM, mgmt.ReasonSessionTimeout},
}

// EndOf returns the end that a timer calls for, false for those that end nothing.
func EndOf(due session.Due) (TimerEnd, bool) {
	e, ok := timerEnds[due]
	return e, ok
}
