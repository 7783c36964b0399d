package session

import "time"

// Limits are the timers of a session as options give them. Zero switches a timer off.
type Limits struct {
	Ping        time.Duration // ping after this silence of ours
	PingRestart time.Duration // restart after this silence of the peer
	PingExit    time.Duration // exit after this silence of the peer; takes the place of PingRestart
	// AfterFirst has silence of a peer count only once it has been heard (ping-timer-rem).
	AfterFirst bool
	// Inactive ends a session whose payload did not come to InactiveBytes, at least one, in this time.
	Inactive      time.Duration
	InactiveBytes uint64
	Session       time.Duration // the longest a session lasts
}

// Due names the timer that is due.
type Due uint8

// What timers ask for. All but NothingDue and PingDue end the session.
const (
	NothingDue Due = iota
	PingDue
	PingRestartDue
	PingExitDue
	InactiveDue
	SessionTimeoutDue
)

// inactiveLook is how often the payload is compared with InactiveBytes: an activity is noticed at most this late.
const inactiveLook = time.Second

// Timers decide when a session that is silent, idle or old ends, and when it has to send a ping.
//
// Each timer starts with what it is about: silence of the peer with the session, pings with Open, Inactive with Use, and
// Session with Age.
//
// Rule: docs/protocol.md#61-keepalive.
type Timers struct {
	Limits

	open     bool      // there is a data channel for pings
	age      time.Time // Session counts from here; zero: not yet
	activeAt time.Time // Inactive counts from here; zero: not yet
	moved    uint64    // payload as of activeAt
}

// Open starts the pings: the data channel has keys.
func (t *Timers) Open() { t.open = true }

// Age starts the session's time.
func (t *Timers) Age(now time.Time) { t.age = now }

// Use starts the watch for inactivity: the tunnel is up.
func (t *Timers) Use(tr *Traffic, now time.Time) { t.activeAt, t.moved = now, tr.Moved() }

// Check returns what is due, and when to check again at the latest: zero when there is nothing to wait for. A ping that is
// due stays due until tr has a packet that was sent.
func (t *Timers) Check(tr *Traffic, now time.Time) (due Due, next time.Time) {
	for _, timer := range []struct {
		due Due
		at  time.Time
	}{
		{t.silence(), t.silentAt(tr)},
		{InactiveDue, t.inactiveAt(tr, now)},
		{SessionTimeoutDue, from(t.age, t.Session)},
		{PingDue, t.pingAt(tr)},
	} {
		switch {
		case timer.at.IsZero():
		case now.Before(timer.at):
			next = Earliest(next, timer.at)
		case due == NothingDue:
			due = timer.due
		}
	}
	if !t.activeAt.IsZero() && t.Inactive > 0 {
		next = Earliest(next, now.Add(inactiveLook))
	}
	return due, next
}

// silence is the timer that the peer's silence starts.
func (t *Timers) silence() Due {
	if t.PingExit > 0 {
		return PingExitDue
	}
	return PingRestartDue
}

// silentAt is when the peer has been silent for too long.
func (t *Timers) silentAt(tr *Traffic) time.Time {
	limit := t.PingRestart
	if t.PingExit > 0 {
		limit = t.PingExit
	}
	last, heard := tr.LastHeard()
	if limit <= 0 || t.AfterFirst && !heard {
		return time.Time{}
	}
	return last.Add(limit)
}

// inactiveAt is when the tunnel has been idle for too long, by what has moved up to now.
func (t *Timers) inactiveAt(tr *Traffic, now time.Time) time.Time {
	if t.Inactive <= 0 || t.activeAt.IsZero() {
		return time.Time{}
	}
	if moved := tr.Moved(); moved-t.moved >= max(t.InactiveBytes, 1) {
		t.activeAt, t.moved = now, moved
	}
	return t.activeAt.Add(t.Inactive)
}

// pingAt is when the next ping is due.
func (t *Timers) pingAt(tr *Traffic) time.Time {
	if !t.open || t.Ping <= 0 {
		return time.Time{}
	}
	return tr.LastSent().Add(t.Ping)
}

// from is d after start, zero without either.
func from(start time.Time, d time.Duration) time.Time {
	if start.IsZero() || d <= 0 {
		return time.Time{}
	}
	return start.Add(d)
}

// Earliest returns the earlier of two times; a zero time is none.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
