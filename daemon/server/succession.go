package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// succession is a client's part in who takes whose place. A client that starts again at its address gets a challenger,
// which logs in beside it; one that logs in again from elsewhere is the heir of its older session.
type succession struct {
	challenger *instance         // logs in beside this one
	challenges *instance         // the one whose place a challenger may take
	heir       *instance         // takes the place of this one, and what learn-address knows of it
	creation   *ratelimit.Bucket // connect-freq, for this one and for the challengers at its address
}

// party is an instance in decisions about its address.
func (i *instance) party() *session.Party {
	return &session.Party{
		Identity: session.Identity{Certificates: i.chain, Name: i.commonName, User: i.username},
		Stage:    i.stage, Leaving: i.session.Leaving(),
	}
}

// mayHaveChallenger reports whether a packet of a session id starts a challenger of an instance.
func (i *instance) mayHaveChallenger(op wire.Opcode, peer wire.SessionID, now time.Time) bool {
	var current *session.Challenger
	if c := i.challenger; c != nil {
		current = &session.Challenger{Peer: c.session.Peer(), Since: c.since}
	}
	return i.party().MayChallenge(i.session.Peer(), current, op, peer, now)
}

// restart lets a known client that starts anew prove itself in a challenger instance, and reports whether the packet starts
// one. The instance it has goes on until the challenger's login is accepted.
func (h *hub) restart(i *instance, p controlPacket, now time.Time) bool {
	if i.link.RemoteAddr().IsValid() {
		return false // a stream has one session
	}
	f, err := h.proto.Verify(p.b)
	if err != nil || !i.mayHaveChallenger(f.Op, f.Session, now) {
		return false
	}
	if h.set.SingleSession {
		h.logNoise(i, now, logging.Error, engine.OneSession, transport.AddrText(p.from.Addr))
		return false
	}
	f.Body = nil
	n := newcomer{link: i.link, from: p.from, first: f, packet: p.b, replaces: true, creation: i.creation}
	h.enter(n, func(h *hub, n newcomer, now time.Time) { h.challenge(i, n, now) }, now)
	return true
}

// challenge makes the challenger of an instance.
func (h *hub) challenge(i *instance, n newcomer, now time.Time) {
	if !i.mayHaveChallenger(n.first.Op, n.first.Session, now) {
		return
	}
	if i.challenger != nil {
		h.remove(i.challenger)
	}
	r, err := h.newInstance(n, now)
	if err != nil {
		return
	}
	i.challenger, r.challenges = r, i
	r.creation = i.creation
	if err := r.session.Input(n.packet, now); err != nil {
		h.remove(r)
		return
	}
	h.step(r, now)
}

// supersede puts an accepted challenger in the place of the instance it challenges, and reports whether it may.
func (h *hub) supersede(r *instance) bool {
	i := r.challenges
	outcome := i.party().SucceededBy(r.party())
	if outcome == session.SuccessionRefused {
		h.log(r, logging.Info, "TLS Error: another client started a session at the address of '%s'", i.commonName)
		return false
	}
	i.challenger, r.challenges = nil, nil
	if outcome == session.SuccessionInherits {
		i.heir = r
	}
	h.remove(i)
	return h.table.add(r)
}
