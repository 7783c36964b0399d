package reliable

import (
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Sender holds messages until the peer acknowledged them and says when to send which. Not safe for concurrent use.
type Sender struct {
	timeout time.Duration // before the first retransmit
	next    uint32        // id of the next message queued
	oldest  uint32        // smallest id not acknowledged; equal to next if there is none
	slots   []sendSlot    // message id is in slots[id%len(slots)] while oldest ≤ id < next
}

type sendSlot struct {
	op        wire.Opcode
	payload   []byte // its storage is used again by the slot's next message
	acked     bool
	sends     int
	laterAcks int
	timeout   time.Duration // between the last transmission and the next
	due       time.Time
}

// NewSender makes a sender with the window of the reference. timeout is the time to the first retransmit, which
// doubles with each; 0 is DefaultTimeout.
func NewSender(timeout time.Duration) *Sender {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Sender{timeout: timeout, slots: make([]sendSlot, SendWindow)}
}

// Room is the number of messages Queue takes now.
func (s *Sender) Room() int { return len(s.slots) - int(s.next-s.oldest) }

// Empty reports whether every message queued was acknowledged.
func (s *Sender) Empty() bool { return s.next == s.oldest }

// Queue takes a message, due at once, and gives it its id; payload is copied. ok is false if the window is full.
func (s *Sender) Queue(op wire.Opcode, payload []byte, now time.Time) (id uint32, ok bool) {
	if s.Room() == 0 {
		return 0, false
	}
	id = s.next
	s.next++
	m := s.slot(id)
	*m = sendSlot{op: op, payload: slices.Clone(payload), timeout: s.timeout, due: now}
	return id, true
}

// QueueAcked counts a message that was sent and acknowledged before this sender existed: a server's stateless reset.
// It panics after the first Queue.
func (s *Sender) QueueAcked() {
	if s.next != 0 {
		panic("reliable: QueueAcked on a sender in use")
	}
	s.next, s.oldest = 1, 1
}

// Due appends to dst the messages to be sent at now, in order, and starts their timers again. Payloads alias the
// sender and are valid until the next Ack or Queue.
func (s *Sender) Due(dst []Message, now time.Time) []Message {
	for id := s.oldest; id != s.next; id++ {
		m := s.slot(id)
		if m.acked || now.Before(m.due) {
			continue
		}
		m.due = now.Add(m.timeout)
		m.timeout *= 2
		m.sends++
		m.laterAcks = 0
		dst = append(dst, Message{ID: id, Op: m.op, Payload: m.payload, Sends: m.sends})
	}
	return dst
}

// NextDeadline is when Due has something next; the zero time if nothing waits.
func (s *Sender) NextDeadline() time.Time {
	var next time.Time
	for id := s.oldest; id != s.next; id++ {
		if m := s.slot(id); !m.acked && (next.IsZero() || m.due.Before(next)) {
			next = m.due
		}
	}
	return next
}

// Ack takes acknowledgements. Ids that are not out are ignored, repeated ones too: stock repeats them on purpose. A
// message that three later ones overtook is due at once.
func (s *Sender) Ack(ids []uint32, now time.Time) {
	for _, id := range ids {
		if !s.out(id) || s.slot(id).acked || s.slot(id).sends == 0 {
			continue
		}
		s.slot(id).acked = true
		for earlier := s.oldest; earlier != id; earlier++ {
			m := s.slot(earlier)
			if m.acked {
				continue
			}
			if m.laterAcks++; m.laterAcks >= earlyAcks && now.Before(m.due) {
				m.due = now
			}
		}
	}
	for s.oldest != s.next && s.slot(s.oldest).acked {
		s.slot(s.oldest).payload = nil // an idle sender keeps no bytes
		s.oldest++
	}
}

// Burst makes all unacknowledged messages due at once and starts their timers over, as when the first packet of the
// peer's session shows that it is there now.
func (s *Sender) Burst(now time.Time) {
	for id := s.oldest; id != s.next; id++ {
		if m := s.slot(id); !m.acked {
			m.due, m.timeout = now, s.timeout
		}
	}
}

// Hasten makes what is not acknowledged due at a time, unless it is due earlier, and starts the doubling over.
func (s *Sender) Hasten(at time.Time) {
	for id := s.oldest; id != s.next; id++ {
		if m := s.slot(id); !m.acked && at.Before(m.due) {
			m.due, m.timeout = at, s.timeout
		}
	}
}

func (s *Sender) slot(id uint32) *sendSlot { return &s.slots[id%uint32(len(s.slots))] }

// out reports whether id is between oldest and next.
func (s *Sender) out(id uint32) bool { return id-s.oldest < s.next-s.oldest }
