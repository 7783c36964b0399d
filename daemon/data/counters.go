package data

import (
	"errors"
	"sync/atomic"
)

// Counters count packets and bytes of a channel. All are live atomics.
type Counters struct {
	Sealed      atomic.Uint64 // packets
	SealedBytes atomic.Uint64 // as sent, headers included
	Opened      atomic.Uint64 // authenticated packets
	OpenedBytes atomic.Uint64 // as received, headers included
	// MaxSealed and MaxOpened are the largest packets seen, in bytes, for OCC answers.
	MaxSealed, MaxOpened atomic.Uint32

	drops [len(reasons)]atomic.Uint64
}

// Drops returns how many packets were dropped with err, one of the Err variables.
func (c *Counters) Drops(err error) uint64 {
	for i, r := range reasons {
		if errors.Is(err, r) {
			return c.drops[i].Load()
		}
	}
	return 0
}

// Dropped is the sum over all reasons.
func (c *Counters) Dropped() (n uint64) {
	for i := range c.drops {
		n += c.drops[i].Load()
	}
	return n
}

// reasonNames are the words for reasons in metrics.
var reasonNames = [len(reasons)]string{
	"short", "header", "no_key", "not_authentic", "replay", "framing", "compressed", "fragment", "key_exhausted", "too_big", "empty",
}

// AddDrops adds the packets that were dropped to a count by reason.
func (c *Counters) AddDrops(to map[string]uint64) {
	for i := range c.drops {
		if n := c.drops[i].Load(); n > 0 {
			to[reasonNames[i]] += n
		}
	}
}

// drop counts err, which is one of reasons.
func (c *Counters) drop(err error) {
	for i, r := range reasons {
		if err == r { //nolint:errorlint // our own sentinels, never wrapped, and a hot path
			c.drops[i].Add(1)
			return
		}
	}
}

func raise(a *atomic.Uint32, n int) {
	if v := uint32(n); v > a.Load() {
		a.Store(v) // a lost race loses a few bytes of a statistic
	}
}
