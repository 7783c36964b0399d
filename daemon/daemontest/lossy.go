package daemontest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"
)

// Weather says what a [Lossy] link does to packets. The zero value delivers all of them, in order, at once.
// Chances run from 0 to 1.
type Weather struct {
	Loss      float64 // the packet disappears
	Duplicate float64 // it arrives twice
	Reorder   float64 // it takes up to ReorderBy longer
	Mangle    float64 // one of its bits flips, or it is cut short

	Delay     time.Duration // what every packet takes
	ReorderBy time.Duration
}

// Lossy is one direction of a datagram link, in memory and without a clock: packets go in with the time they
// are sent and come out when they have arrived. The seed decides all chances. Not safe for concurrent use.
type Lossy struct {
	Weather // may be changed at any time

	rnd      *rand.Rand
	sequence int
	flight   []packet

	Sent, Lost int // counters
}

type packet struct {
	at       time.Time
	sequence int // keeps the order of packets that arrive together
	data     []byte
}

// NewLossy makes a link.
func NewLossy(seed uint64, w Weather) *Lossy {
	return &Lossy{Weather: w, rnd: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))} //nolint:gosec // chances, not secrets
}

// Send puts a packet on the link. It keeps a copy.
func (l *Lossy) Send(p []byte, now time.Time) {
	l.Sent++
	if l.chance(l.Loss) {
		l.Lost++
		return
	}
	l.add(p, now)
	if l.chance(l.Duplicate) {
		l.add(p, now)
	}
}

func (l *Lossy) add(p []byte, now time.Time) {
	at := now.Add(l.Delay)
	if l.chance(l.Reorder) && l.ReorderBy > 0 {
		at = at.Add(time.Duration(l.rnd.Int64N(int64(l.ReorderBy))))
	}
	p = bytes.Clone(p)
	if len(p) > 0 && l.chance(l.Mangle) {
		if i := l.rnd.IntN(len(p)); l.chance(0.5) {
			p = p[:i]
		} else {
			p[i] ^= 1 << l.rnd.IntN(8)
		}
	}
	l.sequence++
	l.flight = append(l.flight, packet{at, l.sequence, p})
	slices.SortFunc(l.flight, func(a, b packet) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.sequence - b.sequence
	})
}

// Recv returns the next packet that has arrived by now.
func (l *Lossy) Recv(now time.Time) ([]byte, bool) {
	if len(l.flight) == 0 || l.flight[0].at.After(now) {
		return nil, false
	}
	p := l.flight[0].data
	l.flight = l.flight[1:]
	return p, true
}

// Next returns when the next packet arrives, or zero.
func (l *Lossy) Next() time.Time {
	if len(l.flight) == 0 {
		return time.Time{}
	}
	return l.flight[0].at
}

func (l *Lossy) chance(p float64) bool { return p > 0 && l.rnd.Float64() < p }
