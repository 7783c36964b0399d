package data

import (
	"encoding/binary"
	"slices"
	"time"
)

// seal appends the one packet of payload.
func (c *Channel) seal(dst, payload []byte, now time.Time) ([]byte, error) {
	if err := c.sealable(payload); err != nil {
		c.Counters.drop(err)
		return dst, err
	}
	if c.p.Fragment > 0 && c.framedLen(payload) > c.p.Fragment {
		c.Counters.drop(ErrTooBig)
		return dst, ErrTooBig
	}
	s := c.sendSlot(now)
	if s == nil {
		c.Counters.drop(ErrNoKey)
		return dst, ErrNoKey
	}
	id, err := s.send.reserve(1, len(payload), now)
	if err != nil {
		c.Counters.drop(err)
		return dst, err
	}
	n := len(dst)
	dst = c.sealOne(dst, payload, s.send, id)
	if len(dst) == n {
		c.Counters.drop(ErrExhausted)
		return dst, ErrExhausted
	}
	c.countSealed(1, len(dst)-n, len(dst)-n)
	return dst, nil
}

// sealable is the test every payload must pass.
func (c *Channel) sealable(payload []byte) error {
	switch {
	case len(payload) == 0:
		return ErrEmpty
	case len(payload) > maxPayload:
		return ErrTooBig
	}
	return nil
}

func (c *Channel) countSealed(packets, bytes, largest int) {
	c.Counters.Sealed.Add(uint64(packets))
	c.Counters.SealedBytes.Add(uint64(bytes))
	raise(&c.Counters.MaxSealed, largest)
}

// framedLen is the length of payload with its compression framing.
func (c *Channel) framedLen(payload []byte) int { return len(payload) + c.p.Framing.extra(payload) }

// sealOne appends the packet of an unfragmented payload.
func (c *Channel) sealOne(dst, payload []byte, s sealer, id uint64) []byte {
	start, front := len(dst), s.front()
	if c.p.Framing == FramingNone && c.p.Fragment == 0 {
		dst = slices.Grow(dst, front+len(payload)+s.tail())
		return dst[:start+s.finish(dst[start:start:cap(dst)], payload, id)]
	}
	framed := c.framedLen(payload)
	frag := 0
	if c.p.Fragment > 0 {
		frag = fragHeader
	}
	dst = slices.Grow(dst, front+frag+framed+s.tail())
	plain := dst[start+front : start+front : cap(dst)]
	if frag > 0 {
		plain = append(plain, 0, 0, 0, 0)
	}
	plain = c.p.Framing.append(plain, payload)
	return dst[:start+s.finish(dst[start:start:cap(dst)], plain, id)]
}

// sealFragment appends the packet of one fragment; h is its header word.
func (c *Channel) sealFragment(dst []byte, h uint32, part []byte, s sealer, id uint64) []byte {
	start, front := len(dst), s.front()
	dst = slices.Grow(dst, front+fragHeader+len(part)+s.tail())
	plain := binary.BigEndian.AppendUint32(dst[start+front:start+front:cap(dst)], h)
	plain = append(plain, part...)
	return dst[:start+s.finish(dst[start:start:cap(dst)], plain, id)]
}

// Plan empties b, picks the key and reserves the packet ids of payloads, which b keeps until Seal. Batches planned one
// after the other may be sealed by different goroutines at the same time, and must then be sent in the order of their
// plans, since the peer's replay window is short. Errors: ErrNoKey, ErrExhausted.
func (c *Channel) Plan(b *Batch, payloads [][]byte, now time.Time) error {
	b.Reset()
	s := c.sendSlot(now)
	if s == nil {
		c.Counters.drop(ErrNoKey)
		return ErrNoKey
	}
	n, size := 0, 0
	for _, p := range payloads {
		if c.sealable(p) == nil {
			n += c.parts(p)
			size += len(p)
		}
	}
	if n == 0 {
		b.plan = plan{c: c, s: s, payloads: payloads}
		return nil
	}
	first, err := s.send.reserve(n, size, now)
	if err != nil {
		c.Counters.drop(err)
		return err
	}
	b.plan = plan{c: c, s: s, payloads: payloads, first: first}
	if need := size + n*(c.Overhead()+s.send.tail()); cap(b.slab) < need {
		b.slab = make([]byte, 0, need)
	}
	return nil
}

// Seal carries the plan out. Without a plan, or the second time, it does nothing.
func (b *Batch) Seal() {
	p := b.plan
	if p.c == nil {
		return
	}
	b.plan = plan{}
	c, id, largest := p.c, p.first, 0
	for _, payload := range p.payloads {
		if err := c.sealable(payload); err != nil {
			c.Counters.drop(err)
			continue
		}
		c.clamp(payload)
		start := len(b.slab)
		switch n := c.parts(payload); n {
		case 0:
			c.Counters.drop(ErrTooBig)
		case 1:
			b.slab = c.sealOne(b.slab, payload, p.s.send, id)
			if len(b.slab) > start {
				b.Packets = append(b.Packets, b.slab[start:len(b.slab)])
			}
			id++
		default:
			first := len(b.Packets)
			id = b.sealParts(c, p.s.send, payload, n, id)
			for _, pkt := range b.Packets[first:] {
				largest = max(largest, len(pkt))
			}
			continue
		}
		largest = max(largest, len(b.slab)-start)
	}
	c.countSealed(len(b.Packets), len(b.slab), largest)
}

// sealParts seals a payload that needs n fragments and returns the next packet id.
func (b *Batch) sealParts(c *Channel, s sealer, payload []byte, n int, id uint64) uint64 {
	framed := c.p.Framing.append(make([]byte, 0, c.framedLen(payload)), payload)
	size := fragmentSize(len(framed), n)
	seq := c.fragSeq.Add(1)
	for i := range n {
		part := framed[i*size : min((i+1)*size, len(framed))]
		start := len(b.slab)
		b.slab = c.sealFragment(b.slab, fragmentHeader(seq, i, n, size), part, s, id)
		if len(b.slab) > start {
			b.Packets = append(b.Packets, b.slab[start:len(b.slab)])
		}
		id++
	}
	return id
}
