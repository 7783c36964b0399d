package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// PerPrefix is a bucket for all sources with a smaller one for each source prefix, so that one network cannot use up
// what all share. Its memory does not grow: prefixes share prefixBuckets buckets by a secret hash. Safe for concurrent
// use.
type PerPrefix struct {
	all  *Bucket
	each [prefixBuckets]Bucket
	seed maphash.Seed
}

const (
	prefixBuckets = 512
	// A prefix gets half of what all share.
	prefixShare = 2
)

// NewPerPrefix makes full buckets of n events per period. n ≤ 0 or per ≤ 0 gives nil, which allows everything.
func NewPerPrefix(n int, per time.Duration) *PerPrefix {
	all := New(n, per)
	if all == nil {
		return nil
	}
	p := &PerPrefix{all: all, seed: maphash.MakeSeed()}
	for i := range p.each {
		b := &p.each[i]
		b.capacity = max(all.capacity/prefixShare, 1)
		b.perNano, b.tokens = b.capacity/float64(per), b.capacity
	}
	return p
}

// Prefix is the network that a source counts with: a /24 of IPv4, a /48 of IPv6.
func Prefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

func (p *PerPrefix) bucket(a netip.Addr) *Bucket {
	return &p.each[maphash.Comparable(p.seed, Prefix(a))%prefixBuckets]
}

// Allow takes a token of the source's prefix and one of those that all share, if there are both.
func (p *PerPrefix) Allow(source netip.Addr, now time.Time) bool {
	if p == nil {
		return true
	}
	own := p.bucket(source)
	if !own.Allow(now) {
		return false
	}
	if p.all.Allow(now) {
		return true
	}
	own.Credit()
	return false
}

// Credit gives one token back: the event turned out to be an honest client.
func (p *PerPrefix) Credit(source netip.Addr) {
	if p != nil {
		p.bucket(source).Credit()
		p.all.Credit()
	}
}
