package data

import "time"

// Batch is a run of sealed packets in one slab, each right behind the last, so that neighbours of equal size can
// leave as one segmented datagram without a copy. One goroutine owns it; it is reused from run to run.
type Batch struct {
	// Packets are slices of the slab, valid until the next Reset or Plan. Their capacity reaches over their successors,
	// by which a link sees that they are adjacent.
	Packets [][]byte

	slab []byte
	plan plan
}

// plan holds a batch's payloads, its key and its ids.
type plan struct {
	c        *Channel
	s        *slot
	payloads [][]byte
	first    uint64
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Packets = b.Packets[:0]
	b.slab = b.slab[:0]
	b.plan = plan{}
}

// Bytes is the sum of the sealed packets.
func (b *Batch) Bytes() int { return len(b.slab) }

// SealBatch empties b and seals payloads into it, in order. Payloads that cannot be sent (empty, too big) are left out
// and counted. A payload above the fragment size gives several packets. Keys and clock are read once.
// Errors: ErrNoKey, ErrExhausted; then b is empty.
func (c *Channel) SealBatch(b *Batch, payloads [][]byte, now time.Time) error {
	if err := c.Plan(b, payloads, now); err != nil {
		return err
	}
	b.Seal()
	return nil
}
