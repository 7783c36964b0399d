package session

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Config configures a session.
type Config struct {
	control.Config
	// Renewal is reneg-sec, which bounds how long others may take; 0: no bound. RenegAfter says when we renew.
	Renewal time.Duration
	// Logins says that verdicts decide about the peer's keys. Without it each key is in use once it is active.
	Logins bool
}

// Session is one peer's session. It has one owner at a time; its methods must not be called concurrently. Those of its
// control channel are called as that package says, and Event after everything that may make some.
type Session struct {
	*control.Session
	cfg Config

	events    []Event   // older than what the control channel has
	logins    [8]*login // by key id, nil for a key that has none; see login
	newest    uint64    // login
	renewed   bool
	keySince  time.Time
	answered  bool      // the first packet was answered without a session
	everAsked Verifiers // about any login

	plane Plane // nil before Attach
	terms Terms

	leaving struct {
		why   Leaving
		until time.Time
		ended bool // Left was emitted
	}
}

// Leaving is why a session is about to end.
type Leaving uint8

// A session stays, or it leaves because we sent the peer away or the peer said goodbye.
const (
	Stays Leaving = iota
	SentAway
	SaidGoodbye
)

// New starts a session; see control.New.
func New(cfg Config, now time.Time) (*Session, error) {
	c, err := control.New(cfg.Config, now)
	return wrap(c, cfg, now), err
}

// NewAccepted starts a server's session after a cookie round trip; see control.NewAccepted. It emits no InitialPacket: the
// peer's first packet was answered and forgotten.
func NewAccepted(cfg Config, own, peer wire.SessionID, now time.Time) (*Session, error) {
	c, err := control.NewAccepted(cfg.Config, own, peer, now)
	s := wrap(c, cfg, now)
	s.answered = true
	return s, err
}

func wrap(c *control.Session, cfg Config, now time.Time) *Session {
	if cfg.HandWindow == 0 {
		cfg.HandWindow = control.DefaultHandWindow
	}
	return &Session{Session: c, cfg: cfg, keySince: now}
}

// Step moves everything that is not a packet of the peer. It returns when to call it again at the latest; zero: there is
// nothing to wait for.
func (s *Session) Step(now time.Time) time.Time {
	l := &s.leaving
	if l.why != Stays && !l.ended && !now.Before(l.until) {
		l.ended = true
		s.emit(Left{})
	}
	next := Earliest(s.Session.Step(now), s.overdue(now))
	if l.why != Stays && !l.ended {
		next = Earliest(next, l.until)
	}
	return next
}

// Leave ends the session at until: time for the peer to fetch our last message. Only the first call counts; it reports
// whether it was that.
func (s *Session) Leave(why Leaving, until time.Time) bool {
	if s.leaving.why != Stays {
		return false
	}
	s.leaving.why, s.leaving.until = why, until
	return true
}

// Leaving tells why the session is about to end, or that it stays.
func (s *Session) Leaving() Leaving { return s.leaving.why }

// Event returns the oldest event not yet returned.
func (s *Session) Event() (Event, bool) {
	for len(s.events) == 0 {
		e, ok := s.Session.Event()
		if !ok {
			s.events = nil
			return nil, false
		}
		s.take(e)
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, true
}

func (s *Session) emit(e Event) { s.events = append(s.events, e) }

// take makes events of one of the control channel.
func (s *Session) take(e control.Event) {
	switch e := e.(type) {
	case control.InitialPacket:
		if !s.answered {
			s.emit(e)
		}
	case control.KeyMessage:
		m := KeyMessage{KeyID: e.KeyID, Message: e.Message}
		if s.cfg.Logins {
			m.Login = s.claim(e.KeyID)
		}
		s.emit(m)
	case control.Active:
		l := s.login(e.KeyID)
		l.active, l.started = true, e.Started
		s.emit(e)
		s.settle(l, e.KeyID)
	case control.SoftReset:
		s.logins[e.KeyID] = nil
		reset := SoftReset{KeyID: e.KeyID, ByPeer: e.ByPeer, Age: s.KeyAge(e.Started)}
		if s.plane != nil {
			reset.Done, _ = s.plane.PrimaryUsage()
		}
		s.emit(reset)
		s.keySince = e.Started
	case control.Expired:
		s.login(e.KeyID).over = true
		if s.plane != nil {
			s.plane.DropKey(e.KeyID)
		}
	case control.Failed:
		l := s.login(e.KeyID)
		l.over = true
		s.emit(e)
		if !e.Dead && !l.active {
			s.settle(l, e.KeyID)
		}
	default:
		s.emit(e)
	}
}
