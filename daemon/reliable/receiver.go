package reliable

import (
	"slices"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Outcome tells how a Receiver took a message.
type Outcome uint8

// The outcomes of Offer.
const (
	Stored    Outcome = iota // new; will be acknowledged and, in its turn, popped
	Duplicate                // had before; will be acknowledged again
	Dropped                  // outside the window; not acknowledged, the peer sends it again
)

// maxPending bounds the acks we owe. Only duplicates of delivered messages can exceed the window, and what is not
// acknowledged now comes again.
const maxPending = 32

// Receiver puts messages in order and keeps the acks owed for them. Not safe for concurrent use.
type Receiver struct {
	next    uint32        // id expected next
	slots   []receiveSlot // message id is in slots[id%len(slots)] if stored
	pending []uint32      // acks owed, in order of arrival
	recent  []uint32      // acks sent, the latest first
}

type receiveSlot struct {
	stored  bool
	op      wire.Opcode
	payload []byte // its storage is used again
}

// NewReceiver makes a receiver with the window of the reference.
func NewReceiver() *Receiver {
	return &Receiver{
		slots:   make([]receiveSlot, ReceiveWindow),
		pending: make([]uint32, 0, maxPending),
		recent:  make([]uint32, 0, PacketAcks+1),
	}
}

// Offer takes a message from a packet; payload is copied.
func (r *Receiver) Offer(id uint32, op wire.Opcode, payload []byte) Outcome {
	ahead := id - r.next
	switch {
	case ahead < uint32(len(r.slots)):
		m := r.slot(id)
		if m.stored {
			r.owe(id)
			return Duplicate
		}
		if !r.owe(id) {
			return Dropped
		}
		m.stored, m.op, m.payload = true, op, slices.Clone(payload)
		return Stored
	case int32(ahead) < 0:
		r.owe(id)
		return Duplicate
	default:
		return Dropped
	}
}

// OfferDelivered counts message 0 as delivered and acknowledged before this receiver existed: the reset a stateless
// server answered. It panics on a receiver in use.
func (r *Receiver) OfferDelivered() {
	if r.next != 0 || r.slots[0].stored {
		panic("reliable: OfferDelivered on a receiver in use")
	}
	r.next = 1
}

// Pop hands out the next message in order, with its payload: an idle receiver keeps no bytes.
func (r *Receiver) Pop() (Message, bool) {
	m := r.slot(r.next)
	if !m.stored {
		return Message{}, false
	}
	msg := Message{ID: r.next, Op: m.op, Payload: m.payload}
	m.stored, m.payload = false, nil
	r.next++
	return msg, true
}

// Expected is the id of the message Pop waits for.
func (r *Receiver) Expected() uint32 { return r.next }

// Owes reports whether acks wait to be sent for the first time, or again for a duplicate.
func (r *Receiver) Owes() bool { return len(r.pending) > 0 }

// Acks appends up to limit ids to put into a packet: those owed first, and then the latest ones sent before, since
// the packet that carried them may be lost. Newest stand first. limit is PiggybackAcks or PacketAcks. With nothing
// owed it still repeats; ask Owes before sending a packet for acks alone.
func (r *Receiver) Acks(dst []uint32, limit int) []uint32 {
	limit = min(limit, PacketAcks)
	take := min(limit, len(r.pending))
	for _, id := range r.pending[:take] {
		r.promote(id)
	}
	r.pending = append(r.pending[:0], r.pending[take:]...)
	return append(dst, r.recent[:min(limit, len(r.recent))]...)
}

// promote puts id in front of the acks sent.
func (r *Receiver) promote(id uint32) {
	if i := slices.Index(r.recent, id); i >= 0 {
		copy(r.recent[1:i+1], r.recent[:i])
		r.recent[0] = id
		return
	}
	if len(r.recent) < PacketAcks {
		r.recent = append(r.recent, 0)
	}
	copy(r.recent[1:], r.recent)
	r.recent[0] = id
}

// owe notes an ack and reports whether there was room.
func (r *Receiver) owe(id uint32) bool {
	if slices.Contains(r.pending, id) {
		return true
	}
	if len(r.pending) == maxPending {
		return false
	}
	r.pending = append(r.pending, id)
	return true
}

func (r *Receiver) slot(id uint32) *receiveSlot { return &r.slots[id%uint32(len(r.slots))] }
