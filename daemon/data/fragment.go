package data

import (
	"encoding/binary"
	"time"
)

// The fragment header is one big-endian word:
//
//	bits 0-1    type: 0 whole, 1 fragment that is not the last, 2 last fragment
//	bits 2-9    sequence number of the datagram
//	bits 10-14  index of the fragment
//	bits 15-28  last fragment only: size of the others in units of 4 bytes
const (
	fragHeader = 4

	fragWhole = 0
	fragMore  = 1
	fragLast  = 2

	maxFragments = 32
	minFragment  = 4
)

// Bounds of the reassembly: as many datagrams as may be under way, and for how long.
const (
	fragSlots    = 8
	fragLifetime = 10 * time.Second
)

// parts is how many packets payload needs; 0 means that it cannot be sent.
func (c *Channel) parts(payload []byte) int {
	if c.p.Fragment == 0 {
		return 1
	}
	n := c.framedLen(payload)
	if n <= c.p.Fragment {
		return 1
	}
	unit := c.p.Fragment &^ 3
	if n = (n + unit - 1) / unit; n > maxFragments {
		return 0
	}
	return n
}

// fragmentSize spreads framed bytes evenly over n fragments: all but the last have this size, a multiple of 4.
func fragmentSize(framed, n int) int { return ((framed+n-1)/n + 3) &^ 3 }

// fragmentHeader is the header word of fragment i of n.
func fragmentHeader(seq uint32, i, n, size int) uint32 {
	h := seq&0xFF<<2 | uint32(i)<<10
	if i < n-1 {
		return h | fragMore
	}
	return h | fragLast | uint32(size/4)<<15
}

// reassembly collects fragments of a few datagrams.
type reassembly struct{ slots [fragSlots]partial }

// partial is a datagram of which some fragments arrived.
type partial struct {
	used  bool
	seq   uint8
	since time.Time
	size  int    // of the fragments before the last, 0 until known
	have  uint32 // bit i: fragment i is here
	last  int    // index of the last fragment, -1 until it came
	end   int    // bytes of the datagram, known with the last fragment
	buf   []byte
}

// reassemble takes a plaintext with its fragment header and returns the framed payload once it is whole, else nil.
// Errors: ErrShort, ErrFragment.
func (c *Channel) reassemble(plain []byte, now time.Time) ([]byte, error) {
	if len(plain) < fragHeader {
		return nil, ErrShort
	}
	h := binary.BigEndian.Uint32(plain)
	body := plain[fragHeader:]
	if h&3 == fragWhole {
		return body, nil
	}
	if c.fragments == nil {
		c.fragments = new(reassembly)
	}
	return c.fragments.add(h, body, now)
}

func (r *reassembly) add(h uint32, body []byte, now time.Time) ([]byte, error) {
	kind, seq, index, size := h&3, uint8(h>>2), int(h>>10&31), len(body)
	if kind == fragLast {
		size = int(h>>15&0x3FFF) * 4
	}
	switch {
	case kind == 3, len(body) == 0, size == 0, size%4 != 0, len(body) > size, index*size+len(body) > maxPayload:
		return nil, ErrFragment
	}
	p := r.find(seq, now)
	if p.size != 0 && p.size != size || p.last >= 0 && (kind == fragLast || index > p.last) && p.have>>index&1 == 0 {
		p.used, p.buf = false, nil // fragments of two datagrams under one number
		return nil, ErrFragment
	}
	if p.have>>index&1 != 0 {
		return nil, nil // a duplicate
	}
	p.size = size
	if kind == fragLast {
		if p.have>>index != 0 { // something was beyond the end
			p.used, p.buf = false, nil
			return nil, ErrFragment
		}
		p.last, p.end = index, index*size+len(body)
	}
	if need := index*size + len(body); need > len(p.buf) {
		p.buf = append(p.buf, make([]byte, need-len(p.buf))...)
	}
	copy(p.buf[index*size:], body)
	p.have |= 1 << index
	if p.last < 0 || p.have != 1<<(p.last+1)-1 {
		return nil, nil
	}
	whole := p.buf[:p.end]
	p.used, p.buf = false, nil
	return whole, nil
}

// find returns the slot of a sequence number; a new one takes a free slot or the oldest.
func (r *reassembly) find(seq uint8, now time.Time) *partial {
	best := &r.slots[0]
	for i := range r.slots {
		p := &r.slots[i]
		if p.used && now.Sub(p.since) > fragLifetime {
			p.used, p.buf = false, nil
		}
		switch {
		case p.used && p.seq == seq:
			return p
		case !p.used && best.used, p.used == best.used && p.since.Before(best.since):
			best = p
		}
	}
	*best = partial{used: true, seq: seq, since: now, last: -1}
	return best
}
