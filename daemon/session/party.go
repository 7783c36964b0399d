package session

import (
	"crypto/sha256"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Two sessions of a server may claim one address: when a client floats to an address in use, and when a client starts again
// from the address of its session. Anyone can write another client's address on packets, so that neither is taken from a
// session before the other one has proved to be the same client.

// Identity holds the facts that a login proved about a peer.
type Identity struct {
	Certificates [sha256.Size]byte // digest of those that the peer sent, zero for none
	Name         string            // common name
	User         string
}

// Same reports whether two identities belong to one client, even if it logged in under another user name meanwhile: the same
// certificates, where there are any, and the same name.
func (a *Identity) Same(b *Identity) bool {
	return a.Certificates == b.Certificates && a.Name == b.Name && (a.Name != "" || a.User == b.User)
}

// Party is one of the sessions that claim an address.
type Party struct {
	Identity
	Stage   Stage
	Leaving Leaving
}

// FloatOutcome is the answer to a float.
type FloatOutcome uint8

// What becomes of a float.
const (
	FloatIgnored  FloatOutcome = iota // the session has no tunnel yet
	FloatMoves                        // the address is free
	FloatReplaces                     // an older session of the same client has it, and ends
	FloatRefused                      // another client has it, or one that has not logged in
)

// Float decides whether a session moves to the address that an authentic data packet came from; there is the session at that
// address, nil for none.
//
// Rule: docs/protocol.md#63-float.
func (p *Party) Float(there *Party) FloatOutcome {
	switch {
	case p.Stage != Established:
		return FloatIgnored
	case there == nil:
		return FloatMoves
	case there.Stage == Handshake || !there.Same(&p.Identity) || there.User != p.User:
		return FloatRefused
	default:
		return FloatReplaces
	}
}

// Challenger is a session that wants to replace the one at its address.
type Challenger struct {
	Peer  wire.SessionID
	Since time.Time
}

// challengerChance is how long a challenger keeps its place against the next one: resets may be forged, and each makes a
// session.
const challengerChance = time.Second

// MayChallenge reports whether a packet with the opcode op and the session id peer starts a challenger of a session whose
// peer has the id own. current is the challenger that the session has, nil for none.
//
// Rule: docs/protocol.md#212-hard-reset-on-a-live-session-failures.
func (p *Party) MayChallenge(own wire.SessionID, current *Challenger, op wire.Opcode, peer wire.SessionID, now time.Time) bool {
	reset := op == wire.OpControlHardResetClientV2 || op == wire.OpControlHardResetClientV3
	if !reset || peer == own || p.Stage == Gone {
		return false
	}
	return current == nil || peer != current.Peer && now.Sub(current.Since) >= challengerChance
}

// Succession is the answer to a challenger whose login is accepted.
type Succession uint8

// What becomes of a challenger.
const (
	SuccessionRefused  Succession = iota // another client has the address
	SuccessionReplaces                   // the challenger replaces a client that was about to go
	SuccessionInherits                   // the challenger is the same client, or the first: it takes over addresses too
)

// SucceededBy decides whether an accepted challenger replaces the session at its address: it has to be the same client,
// unless that one has not logged in or is about to go.
func (p *Party) SucceededBy(challenger *Party) Succession {
	switch {
	case p.Same(&challenger.Identity), p.Stage < Authorised:
		return SuccessionInherits
	case p.Leaving != Stays:
		return SuccessionReplaces
	default:
		return SuccessionRefused
	}
}
