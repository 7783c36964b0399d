package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// caller is a second peer that starts a session with a tls-server while one is up: the same one after a restart, most
// likely. It replaces the session once it has proved its identity, and not before.
type caller struct {
	session *session.Session
	wrap    ctrlwrap.Wrapper
	peer    transport.Peer
	started time.Time
	held    []session.Event // for the moment it takes over
	unsure  int             // keys that plugins have not answered about
}

// called takes a control packet that belongs to another session than the one that is up. It reports whether it did.
//
// The session id is at the same place under every wrapping, so that a forged packet does not touch the replay window
// of the session that is up.
func (a *attempt) called(p controlPacket, now time.Time) bool {
	if a.stage < session.Authorised || role(a.opts) != keys.Server || a.stream || len(p.b) < 9 || wire.SessionID(p.b[1:9]) == a.session.Peer() {
		return false
	}
	op, _, err := wire.ParseHeader(p.b)
	if err != nil {
		return true
	}
	if a.next != nil && now.Sub(a.next.started) > a.opts.HandWindow {
		a.next.close()
		a.next = nil
	}
	if a.next == nil {
		if !op.IsHardReset() {
			return true
		}
		s, w, err := a.newSession(now)
		if err != nil {
			a.log(logging.Error, "TLS Error: %v", err)
			return true
		}
		a.next = &caller{session: s, wrap: w, peer: p.from, started: now}
	}
	if p.from.Addr == a.next.peer.Addr {
		if err := a.next.session.Input(p.b, now); err != nil {
			a.controlError(p, err, now)
		}
	}
	return true
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
