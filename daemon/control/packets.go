package control

import (
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/reliable"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// ackDelay is how long acks wait for a TLS flight that is being computed, to travel with it.
const ackDelay = 20 * time.Millisecond

// Input takes one control packet from the link: one datagram, or one frame without its length. It does not
// keep pkt. An error says why the packet was dropped, and that nothing has changed; Step comes next.
func (s *Session) Input(pkt []byte, now time.Time) error {
	if s.Dead() {
		return ErrClosed
	}
	op, keyID, _, _, err := wire.ParseControlHeader(pkt)
	if err != nil {
		return err
	}
	if !s.direction(op) {
		return ErrDirection
	}
	w := s.wrapper(keyID) // of the packet: a renewal may begin with it
	op, keyID, sid, body, err := w.Unwrap(pkt, now)
	if err != nil {
		return err
	}
	if err := s.body.Parse(body, op); err != nil {
		return err
	}
	if s.havePeer && sid != s.peer {
		return ErrSession
	}
	if len(s.body.Acks) > 0 && s.body.PeerSession != s.own {
		return ErrEcho
	}
	if reset := hardReset(op); reset && s.body.MsgID != 0 {
		return ErrMalformed
	}
	if !s.havePeer {
		if err := s.first(op, keyID, sid, now); err != nil {
			return err
		}
	}
	k, err := s.route(op, keyID, now)
	if err != nil {
		return err
	}
	w.Commit(now)
	s.take(k, op, now)
	return nil
}

// direction refuses resets that only our own side sends.
func (s *Session) direction(op wire.Opcode) bool {
	switch op {
	case wire.OpControlHardResetServerV2:
		return s.cfg.Role == keys.Client
	case wire.OpControlHardResetClientV2, wire.OpControlHardResetClientV3, wire.OpControlWKCV1:
		return s.cfg.Role == keys.Server
	default:
		return true
	}
}

func hardReset(op wire.Opcode) bool {
	return op == wire.OpControlHardResetClientV2 || op == wire.OpControlHardResetClientV3 || op == wire.OpControlHardResetServerV2
}

// first takes the packet that tells us the peer's session id: a hard reset with key id 0, and for clients
// one that acks ours.
func (s *Session) first(op wire.Opcode, keyID uint8, sid wire.SessionID, now time.Time) error {
	if !hardReset(op) || keyID != 0 {
		return ErrFirst
	}
	if s.cfg.Role == keys.Client {
		if !slices.Contains(s.body.Acks, 0) {
			return ErrFirst
		}
		flags, err := keys.ParseEarly(s.body.Payload)
		if err != nil {
			return err
		}
		s.primary.wkc = flags&keys.EarlyResendWKc != 0 && s.cfg.ResetOp == wire.OpControlHardResetClientV3
	} else {
		s.primary = s.newKey(0, now)
		s.primary.send.Queue(wire.OpControlHardResetServerV2, nil, now)
	}
	s.peer, s.havePeer = sid, true
	return nil
}

// renewGap is the least time between two negotiations that a peer asks for. Each costs a handshake, and often a script;
// the peer repeats a reset that came too early.
const renewGap = time.Second

// route finds the key state of a packet. A soft reset with the next key id starts a new one.
func (s *Session) route(op wire.Opcode, keyID uint8, now time.Time) (*keyState, error) {
	for _, k := range s.live() {
		if k.id == keyID {
			return k, nil
		}
	}
	if op != wire.OpControlSoftResetV1 || keyID != s.nextID {
		return nil, &KeyIDError{Op: op, KeyID: keyID, Expected: []uint8{s.primary.id, s.nextID}}
	}
	if p := s.primary; p.phase != phaseActive || !p.generated || now.Before(p.started.Add(renewGap)) {
		return nil, ErrEarly
	}
	s.softReset(now, true)
	return s.primary, nil
}

// take feeds an accepted packet into its key state.
func (s *Session) take(k *keyState, op wire.Opcode, now time.Time) {
	k.send.Ack(s.body.Acks, now)
	if op == wire.OpAckV1 {
		s.deliver(k)
		return
	}
	if !k.greeted {
		k.greeted = s.body.MsgID == 0
		if k.greeted {
			if k.id == 0 {
				s.emit(InitialPacket{})
			}
			k.send.Burst(now)
		}
	}
	k.recv.Offer(s.body.MsgID, op, s.body.Payload)
	s.deliver(k)
}

// deliver hands messages to TLS, in order. Before both resets are through they stay in the receive window.
func (s *Session) deliver(k *keyState) {
	s.start(k)
	if k.stream == nil {
		return
	}
	for !k.stream.full() {
		m, ok := k.recv.Pop()
		if !ok {
			return
		}
		if m.Op == wire.OpControlV1 || m.Op == wire.OpControlWKCV1 {
			k.stream.feed(m.Payload) // the payload of a reset is no TLS
		}
	}
}

// start begins the TLS handshake once message 0 is through both ways.
func (s *Session) start(k *keyState) {
	if k.phase != phasePreStart || !k.greeted || !k.send.Empty() {
		return
	}
	k.phase = phaseStart
	k.stream = startTLS(s.cfg.tlsConfig(k.id), s.cfg.Role == keys.Server, s.cfg.Wake)
}

// wrapper returns the protection of packets with that key id.
func (s *Session) wrapper(keyID uint8) ctrlwrap.Wrapper {
	if keyID > 0 && s.dynamic != nil {
		return s.dynamic
	}
	return s.cfg.Wrap
}

// payloadSize returns how many bytes of TLS one message of the key takes.
func (s *Session) payloadSize(k *keyState, op wire.Opcode) int {
	w := s.wrapper(k.id)
	n := s.cfg.PacketSize - wire.ControlHeaderSize - w.Overhead() - ctrlwrap.Trailer(w, op) -
		wire.AckBlockSize(reliable.PiggybackAcks) - wire.MessageIDSize
	return max(n, minPayload)
}

// queue cuts the bytes TLS has for the peer into messages, as far as the send window goes.
func (s *Session) queue(k *keyState, now time.Time) {
	if k.stream != nil {
		if b := k.stream.take(); k.backlog == nil {
			k.backlog = b
		} else {
			k.backlog = append(k.backlog, b...)
		}
	}
	for len(k.backlog) > 0 {
		op := wire.OpControlV1
		if k.wkc {
			op = wire.OpControlWKCV1
		}
		n := min(len(k.backlog), s.payloadSize(k, op))
		if _, ok := k.send.Queue(op, k.backlog[:n], now); !ok {
			return
		}
		k.wkc = false
		k.backlog = k.backlog[n:]
	}
	k.backlog = nil
}

// announcement is when a server's reset is due that no packet of the client has asked for; at is zero when none is.
type announcement struct {
	at, until time.Time
	pause     time.Duration
}

// speakFirst sends the reset of a server that announces itself, with longer and longer pauses, until the client has answered. It is message 0 of the
// key that the client's first packet makes.
func (s *Session) speakFirst(now time.Time) {
	a := &s.announce
	if s.havePeer || a.at.IsZero() || now.Before(a.at) {
		return
	}
	s.packet(&keyState{}, wire.OpControlHardResetServerV2, &wire.ControlBody{}, now)
	a.at, a.pause = now.Add(a.pause), 2*a.pause
	if a.at.After(a.until) {
		a.at = time.Time{}
	}
}

// transmit makes packets of every message that is due and of acks that are left.
func (s *Session) transmit(k *keyState, now time.Time) {
	if !s.havePeer && s.cfg.Role == keys.Server {
		return // what a server says first is no answer: speakFirst
	}
	s.due = k.send.Due(s.due[:0], now)
	for _, m := range s.due {
		acks := k.recv.Acks(s.acks[:0], reliable.PiggybackAcks)
		s.packet(k, m.Op, &wire.ControlBody{Acks: acks, PeerSession: s.peer, MsgID: m.ID, Payload: m.Payload}, now)
	}
	clear(s.due)
	if !k.recv.Owes() {
		k.ackBy = time.Time{}
		return
	}
	if s.ackLater(k, now) {
		return
	}
	k.ackBy = time.Time{}
	// Some servers choke on more than four before they know the client.
	limit := reliable.PacketAcks
	if s.cfg.Role == keys.Client && k.id == 0 {
		limit = reliable.PiggybackAcks
	}
	for k.recv.Owes() {
		acks := k.recv.Acks(s.acks[:0], limit)
		s.packet(k, wire.OpAckV1, &wire.ControlBody{Acks: acks, PeerSession: s.peer}, now)
	}
}

// ackLater tells whether acks should wait for the flight TLS is computing just now. A message 1 that has to
// carry the wrapped client key goes before any bare ack: only with it can a stateless server know us.
func (s *Session) ackLater(k *keyState, now time.Time) bool {
	if k.stream == nil {
		return false
	}
	_, computing, _ := k.stream.state()
	if !computing {
		return false
	}
	if k.wkc {
		return true
	}
	if k.ackBy.IsZero() {
		k.ackBy = now.Add(ackDelay)
	}
	return now.Before(k.ackBy)
}

// packet wraps one packet for the link.
func (s *Session) packet(k *keyState, op wire.Opcode, body *wire.ControlBody, now time.Time) {
	plain := body.Append(make([]byte, 0, wire.AckBlockSize(len(body.Acks))+wire.MessageIDSize+len(body.Payload)), op)
	w := s.wrapper(k.id)
	room := wire.ControlHeaderSize + w.Overhead() + len(plain) + ctrlwrap.Trailer(w, op)
	pkt, err := w.Wrap(make([]byte, 0, room), op, k.id, s.own, plain, now)
	if err != nil {
		return // its replay ids are used up; the hand-window or the next renewal ends this
	}
	s.out = append(s.out, pkt)
}
