package client

import (
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// caller is a second peer that starts a session while one is up: the same one after a restart, most likely. It replaces the session once
// it has proved its identity, and not before. A tls-server is called by the reset of a client; a tls-client by that of a server that knows
// where its client is, and begins a session of its own then.
type caller struct {
	id      wire.SessionID // that it called with
	session *session.Session
	wrap    ctrlwrap.Wrapper
	peer    transport.Peer
	started time.Time
	held    []session.Event // for the moment it takes over
	unsure  int             // keys that plugins have not answered about
}

// callerChance is how long a caller keeps its place against the next one: a reset may be forged, and each makes a session.
const callerChance = time.Second

// called takes a control packet that belongs to another session than the one that is here, up or not. It reports whether it did.
//
// The session id is at the same place under every wrapping, so that a forged packet does not touch the replay window
// of the session that is here.
func (a *attempt) called(p controlPacket, now time.Time) bool {
	if a.opts.Pull || a.stream || len(p.b) < 9 || a.session.Peer().IsZero() || wire.SessionID(p.b[1:9]) == a.session.Peer() {
		return false
	}
	op, _, err := wire.ParseHeader(p.b)
	if err != nil {
		return true
	}
	if a.opts.SingleSession && a.stage >= session.Authorised {
		if op.IsHardReset() && now.Sub(a.badControl) >= time.Second {
			a.badControl = now
			a.log(logging.Error, engine.OneSession, transport.AddrText(p.from.Addr))
		}
		return true
	}
	n, own := a.next, role(a.opts)
	var input error
	if n != nil && p.from.Addr == n.peer.Addr {
		if input = n.session.Input(p.b, now); input == nil {
			return true
		}
	}
	if op.IsHardReset() && n.givesWay(wire.SessionID(p.b[1:9]), a.opts.HandWindow, now) {
		var next *caller
		if next, input = newCaller(own, a.newSession, p, now); input == nil {
			n.close()
			a.next = next
		}
	} else if unasked(own, input) {
		input = nil // its call again
	}
	if input != nil {
		a.controlError(p, input, now)
	}
	return true
}

// givesWay reports whether the reset of another session takes the place of a caller, nil for none.
func (c *caller) givesWay(to wire.SessionID, handWindow time.Duration, now time.Time) bool {
	if c == nil {
		return true
	}
	age := now.Sub(c.started)
	return age > handWindow || age >= callerChance && to != c.id
}

// newCaller starts the session of a caller by its reset. One that is not good makes none.
func newCaller(own keys.Role, newSession func(now time.Time) (*session.Session, ctrlwrap.Wrapper, error), p controlPacket, now time.Time) (*caller, error) {
	s, w, err := newSession(now)
	if err != nil {
		return nil, err
	}
	c := &caller{id: wire.SessionID(p.b[1:9]), session: s, wrap: w, peer: p.from, started: now}
	if err := s.Input(p.b, now); err != nil && !unasked(own, err) {
		c.close()
		return nil, err
	}
	return c, nil
}

// unasked reports whether a client's session refused an authentic packet for one reason alone: it answers nothing. A server that speaks first sends such.
func unasked(own keys.Role, err error) bool {
	return own == keys.Client && (errors.Is(err, control.ErrFirst) || errors.Is(err, control.ErrSession))
}

// callerEvents moves a caller's session on and lets it take over when its first key is active.
func (a *attempt) callerEvents(now time.Time) {
	for a.next != nil && a.next.unsure == 0 && a.stop == nil {
		e, ok := a.next.session.Event()
		if !ok {
			return
		}
		switch e := e.(type) {
		case control.Active:
			a.replace(e, now)
		case control.NeedCredentials:
			if !a.useCredentials(a.next.session) { // nobody is asked while a tunnel is up
				a.next.close()
				a.next = nil
			}
		case control.Failed:
			a.log(logging.Error, "TLS Error: %v", e.Err)
			a.next.close()
			a.next = nil
		case session.KeyMessage:
			a.next.held = append(a.next.held, e)
			a.askFinal(&a.next.unsure)
		default:
			a.next.held = append(a.next.held, e)
		}
	}
}

// replace makes the caller's session the one that is up.
func (a *attempt) replace(e control.Active, now time.Time) {
	next := a.next
	a.next = nil
	a.session.Close()
	a.session, a.wrap, a.peer = next.session, next.wrap, next.peer
	for _, held := range next.held {
		if m, ok := held.(session.KeyMessage); ok {
			a.keyMessage(m) // plugins were asked about it
		} else {
			a.event(held, now)
		}
	}
	a.event(e, now)
}

// close ends the session of a caller that does not take over. There may be none.
func (c *caller) close() {
	if c != nil {
		c.session.Close()
	}
}
