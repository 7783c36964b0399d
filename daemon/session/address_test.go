package session

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// The server's part of the engine in dialogues that knows addresses: floats, restarts from the same address, challengers.

func (e *end) party() *Party {
	return &Party{Identity: e.identity, Stage: e.stage, Leaving: e.s.Leaving()}
}

func (e *end) close() {
	e.dropChallenger()
	e.s.Close()
}

// float follows the client to the address that its data came from.
func (e *end) float() {
	if e.place == nil || e.other.addr == e.addr {
		return
	}
	there := e.place(e.other.addr)
	var party *Party
	if there != nil {
		party = there.party()
	}
	switch e.party().Float(party) {
	case FloatMoves:
		e.say("floats from %s to %s", e.addr, e.other.addr)
		e.addr = e.other.addr
	case FloatReplaces:
		e.say("floats from %s to %s, and %s ends", e.addr, e.other.addr, there.name)
		there.stage.Reach(Gone)
		e.addr = e.other.addr
	case FloatRefused:
		e.say("stays at %s: %s is taken", e.addr, e.other.addr)
	case FloatIgnored:
		e.say("stays at %s: it has no tunnel", e.addr)
	}
}

// contest takes a control packet that is not of this session.
func (e *end) contest(pkt []byte, now time.Time) {
	if e.challenger != nil && e.challenger.s.Input(pkt, now) == nil {
		return
	}
	op, _, err := wire.ParseHeader(pkt)
	if err != nil || len(pkt) < 9 {
		return
	}
	var current *Challenger
	if e.challenger != nil {
		current = &Challenger{Peer: e.challenger.s.Peer(), Since: e.challenger.keySince()}
	}
	if !e.party().MayChallenge(e.s.Peer(), current, op, wire.SessionID(pkt[1:9]), now) {
		return
	}
	e.dropChallenger()
	s, err := New(e.s.cfg, now)
	if err != nil {
		e.say("cannot start a challenger: %v", err)
		return
	}
	e.say("is challenged")
	e.challenger = &end{name: "challenger", s: s, in: e.in, other: e.other, verify: e.verify, challenges: e, addr: e.addr, say: func(format string, args ...any) {
		e.say("challenger: "+format, args...)
	}}
	e.challenger.traffic.Begin(now)
	_ = s.Input(pkt, now)
}

func (e *end) keySince() time.Time { return e.s.keySince }

func (e *end) dropChallenger() {
	if e.challenger != nil {
		e.challenger.s.Close()
		e.challenger = nil
	}
}

// supersede puts an accepted challenger in the place of the session, if it may.
func (e *end) supersede(c *end) {
	switch e.party().SucceededBy(c.party()) {
	case SuccessionRefused:
		e.say("keeps its place: the challenger is another client")
		e.dropChallenger()
		return
	case SuccessionInherits:
		e.say("gives way to its challenger, which inherits")
	case SuccessionReplaces:
		e.say("gives way to its challenger")
	}
	e.challenger = nil
	e.s.Close()
	e.s, e.identity, e.stage, e.push, e.ready = c.s, c.identity, Authorised, c.push, false
	e.open()
}

// reply answers a PUSH_REQUEST.
func (e *end) reply(now time.Time) {
	_ = e.s.SendText("PUSH_REPLY")
	e.push.Sent(now)
	e.giveToken(now)
}

// update starts the next update of a client, when there is one and nothing keeps it.
func (e *end) update() {
	if options, ok := e.pull.NextUpdate(); ok {
		e.say("updates %s", strings.Join(options, ", "))
	}
}

// restart starts a client over.
func (e *end) restart(t *testing.T, words []string) {
	t.Helper()
	for _, w := range words {
		if user, ok := strings.CutPrefix(w, "as="); ok {
			e.user = user
		}
	}
	old := e.s
	s, err := New(old.cfg, present())
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	e.s, e.ready, e.pull = s, false, Pull{}
}

// forgedReset is the hard reset of a client that goes no further: the opcode, a session id, no acks, message id 0.
func forgedReset(name string) []byte {
	var id wire.SessionID
	copy(id[:], "forger"+name)
	b := append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0)}, id[:]...)
	return binary.BigEndian.AppendUint32(append(b, 0), 0)
}
