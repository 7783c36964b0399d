// Package ratelimit bounds what any host can make a server do: answers to first packets, new sessions.
package ratelimit

import (
	"sync"
	"time"
)

// Bucket allows n events per period, in bursts of up to n. Safe for concurrent use.
type Bucket struct {
	capacity float64
	perNano  float64 // tokens that come back in a nanosecond

	mu     sync.Mutex // guards all below
	tokens float64
	last   time.Time // when tokens was computed
}

// New makes a full bucket. n ≤ 0 or per ≤ 0 gives nil, which allows everything.
func New(n int, per time.Duration) *Bucket {
	if n <= 0 || per <= 0 {
		return nil
	}
	return &Bucket{capacity: float64(n), perNano: float64(n) / float64(per), tokens: float64(n)}
}

// Allow takes a token if there is one.
func (b *Bucket) Allow(now time.Time) bool { return b.take(now, 1) }

// Ready reports whether Allow would take a token.
func (b *Bucket) Ready(now time.Time) bool { return b.take(now, 0) }

// take takes n tokens if there is one at least.
func (b *Bucket) take(now time.Time, n float64) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() && now.After(b.last) {
		b.tokens = min(b.capacity, b.tokens+float64(now.Sub(b.last))*b.perNano)
	}
	if b.last.IsZero() || now.After(b.last) {
		b.last = now
	}
	// Sums of fractions end a hair below the whole.
	const hair = 1e-6
	if b.tokens < 1-hair {
		return false
	}
	b.tokens = max(b.tokens-n, 0)
	return true
}

// Credit gives one token back: the event turned out to be an honest client.
func (b *Bucket) Credit() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.capacity, b.tokens+1)
}
