package control

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/reliable"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Session is the control channel of one peer, from its hard reset to its end.
type Session struct {
	cfg       Config
	own, peer wire.SessionID
	havePeer  bool
	refused   int // times that the opening packet met a closed port
	announce  announcement

	primary *keyState // nil only before a server's first packet
	lame    *keyState // the key before primary, or nil
	nextID  uint8     // key id of the next soft reset

	dynamic ctrlwrap.Wrapper // for key ids above 0, or nil

	// Renewal on our own account.
	renegBlocked time.Time // not before, after a failure

	events []Event
	out    [][]byte
	texts  []string // for the next key that gets active
	ending []*stream

	// Scratch, empty between calls.
	body wire.ControlBody
	due  []reliable.Message
	acks [reliable.PacketAcks]uint32

	dead, closed bool
}

// New starts a session. A client queues its hard reset; a server waits for one in Input, which makes the
// rest of the session state: that is for servers without cookies, on streams, and for a second session that
// shall prove itself while the first goes on.
func New(cfg Config, now time.Time) (*Session, error) {
	s, err := newSession(cfg)
	if err != nil {
		return nil, err
	}
	if s.own, err = s.sessionID(); err != nil {
		return nil, err
	}
	if cfg.Role == keys.Client {
		s.primary = s.newKey(0, now)
		s.primary.send.Queue(s.cfg.ResetOp, nil, now)
	} else if cfg.Announce {
		s.announce = announcement{at: now, pause: s.cfg.TLSTimeout, until: now.Add(s.cfg.HandWindow)}
	}
	return s, nil
}

// NewAccepted starts a server's session after a cookie round trip: message 0 is done both ways, and own is
// the cookie. The packet that returned the cookie goes to Input next.
func NewAccepted(cfg Config, own, peer wire.SessionID, now time.Time) (*Session, error) {
	s, err := newSession(cfg)
	if err != nil {
		return nil, err
	}
	s.own, s.peer, s.havePeer = own, peer, true
	s.primary = s.newKey(0, now)
	s.primary.send.QueueAcked()
	s.primary.recv.OfferDelivered()
	s.primary.greeted = true
	s.emit(InitialPacket{})
	s.start(s.primary)
	return s, nil
}

func newSession(cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Session{cfg: cfg, nextID: 1}, nil
}

// sessionID returns a random id, never zero.
func (s *Session) sessionID() (wire.SessionID, error) {
	var id wire.SessionID
	for id == (wire.SessionID{}) {
		if _, err := io.ReadFull(s.cfg.Rand, id[:]); err != nil {
			return id, fmt.Errorf("session id: %w", err)
		}
	}
	return id, nil
}

// Own returns our session id.
func (s *Session) Own() wire.SessionID { return s.own }

// Peer returns the peer's session id, zero before its first packet.
func (s *Session) Peer() wire.SessionID { return s.peer }

// Dead tells that no key is left: the session sends what is in Next and nothing after.
func (s *Session) Dead() bool { return s.dead || s.closed }

// Busy tells that a key negotiation is under way.
func (s *Session) Busy() bool { return s.primary != nil && s.primary.phase != phaseActive && !s.Dead() }

// The opening packet is repeated refusedPause after the first refusal, twice as long after the next, and as usual after refusals of them.
const (
	refusedPause = 250 * time.Millisecond
	refusals     = 3
)

// Refused tells that a packet met a closed port. Before the peer's first packet ours is repeated soon: a server that is started again is
// found when it listens, not when the next repetition is due.
func (s *Session) Refused(now time.Time) {
	if s.havePeer || s.primary == nil || s.refused == refusals {
		return
	}
	s.primary.send.Hasten(now.Add(refusedPause << s.refused))
	s.refused++
}

// Event returns the oldest event not yet returned.
func (s *Session) Event() (Event, bool) {
	if len(s.events) == 0 {
		s.events = nil
		return nil, false
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, true
}

func (s *Session) emit(e Event) { s.events = append(s.events, e) }

// Next returns the oldest packet not yet returned. The caller owns it.
func (s *Session) Next() ([]byte, bool) {
	if len(s.out) == 0 {
		s.out = nil
		return nil, false
	}
	p := s.out[0]
	s.out = s.out[1:]
	return p, true
}

// Output returns all packets not yet returned.
func (s *Session) Output() [][]byte {
	out := s.out
	s.out = nil
	return out
}

// Step moves everything that is not a packet of the peer: TLS, timers, retransmissions. It returns when to
// call it again at the latest; zero: there is nothing to wait for.
func (s *Session) Step(now time.Time) (deadline time.Time) {
	if s.closed {
		return time.Time{}
	}
	s.timers(now)
	s.speakFirst(now)
	for _, k := range s.live() {
		s.progress(k, now)
	}
	for _, k := range s.live() {
		s.transmit(k, now)
	}
	return s.deadline(now)
}

// live returns the key states that still talk.
func (s *Session) live() []*keyState {
	all := make([]*keyState, 0, 2)
	if s.lame != nil && s.lame.stream != nil {
		all = append(all, s.lame)
	}
	if s.primary != nil && !s.dead {
		all = append(all, s.primary)
	}
	return all
}

// timers acts on what is due: a negotiation that takes too long, the end of the lame duck, a renewal.
func (s *Session) timers(now time.Time) {
	p := s.primary
	if p != nil && !s.dead && p.phase != phaseActive && !now.Before(p.started.Add(s.cfg.HandWindow)) {
		s.fail(p, ErrHandWindow, now)
		p = s.primary
	}
	if s.lame != nil && !now.Before(s.lame.mustDie) {
		s.dropLame()
	}
	if l := s.lame; l != nil && l.stream != nil && !l.hushAt.IsZero() && !now.Before(l.hushAt) {
		s.retire(l)
	}
	if p == nil || s.dead {
		return
	}
	if !p.mustDie.IsZero() && !now.Before(p.mustDie) {
		// A lame duck that had to come back, and no successor in all that time.
		s.fail(p, ErrExpired, now)
		return
	}
	if due := s.renegDue(); !due.IsZero() && !now.Before(due) {
		_ = s.Renegotiate(now) // due means it is possible
	}
}

// renegDue returns when we renew the key on our own account, or zero.
func (s *Session) renegDue() time.Time {
	p := s.primary
	if s.cfg.RenegAfter <= 0 || p == nil || s.dead || p.phase != phaseActive || !p.generated {
		return time.Time{}
	}
	due := p.active.Add(s.cfg.RenegAfter)
	if due.Before(s.renegBlocked) {
		return s.renegBlocked
	}
	return due
}

// deadline returns the earliest of everything Step has to be called for.
func (s *Session) deadline(now time.Time) time.Time {
	var d time.Time
	earliest := func(t time.Time) {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	if !s.havePeer {
		earliest(s.announce.at)
	}
	for _, k := range s.live() {
		earliest(k.send.NextDeadline())
		earliest(k.ackBy)
	}
	if s.lame != nil {
		earliest(s.lame.mustDie)
		if s.lame.stream != nil {
			earliest(s.lame.hushAt)
		}
	}
	if p := s.primary; p != nil && !s.dead {
		if p.phase != phaseActive {
			earliest(p.started.Add(s.cfg.HandWindow))
		}
		earliest(p.mustDie)
	}
	earliest(s.renegDue())
	return d
}

// fail ends a negotiation, or a key whose TLS connection broke. The key before it is primary again, if it
// still stands; else the session is over.
func (s *Session) fail(k *keyState, err error, now time.Time) {
	s.flush(k, now)
	s.retire(k)
	if k == s.lame {
		// It only waited for the successor. Its data keys are not affected.
		return
	}
	dead := s.lame == nil || !s.lame.generated
	s.emit(Failed{KeyID: k.id, Err: err, Dead: dead})
	if dead {
		s.dead = true
		if s.lame != nil {
			s.dropLame()
		}
		return
	}
	if k.generated {
		s.emit(Expired{KeyID: k.id})
	}
	s.primary, s.lame = s.lame, nil
	s.renegBlocked = now.Add(s.cfg.HandWindow)
	s.flushTexts()
}

// dropLame ends the lame duck.
func (s *Session) dropLame() {
	s.retire(s.lame)
	s.emit(Expired{KeyID: s.lame.id})
	s.lame = nil
}

// retire ends a key's TLS connection and wipes its secrets. A handshake still running is waited for in Close.
func (s *Session) retire(k *keyState) {
	if k.stream != nil {
		s.ending = slices.DeleteFunc(s.ending, (*stream).finished)
		if !k.stream.finished() {
			s.ending = append(s.ending, k.stream)
		}
		k.stream.abort()
		k.stream = nil
	}
	k.wipe()
}

// Close ends the session and waits for a handshake that is still running, and for the hooks of its TLS
// configuration. Nothing is sent. It may be called again.
func (s *Session) Close() {
	s.closed = true
	for _, k := range []*keyState{s.primary, s.lame} {
		if k != nil {
			s.retire(k)
		}
	}
	s.primary, s.lame = nil, nil
	for _, st := range s.ending {
		st.close()
	}
	s.ending, s.events, s.out, s.texts = nil, nil, nil, nil
}

// Export returns n bytes of keying material of the newest finished TLS connection, without a context; ErrNotUp when there is none.
func (s *Session) Export(label string, n int) ([]byte, error) {
	for _, k := range []*keyState{s.primary, s.lame} {
		if k != nil && k.up {
			return k.export(label, n)
		}
	}
	return nil, ErrNotUp
}

// ConnectionState returns the state of the newest finished TLS connection.
func (s *Session) ConnectionState() (tls.ConnectionState, bool) {
	for _, k := range []*keyState{s.primary, s.lame} {
		if k != nil && k.up && k.stream != nil {
			return k.stream.conn.ConnectionState(), true
		}
	}
	return tls.ConnectionState{}, false
}
