package ratelimit

import (
	"net/netip"
	"testing"
	"time"
)

// Networks that were noted get a share of their own, no others, and the last ones are remembered.
func TestRegulars(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	network := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 7}) }
	r := NewRegulars(100, 10*time.Second)
	if r.Allow(network(0), now) {
		t.Error("a stranger is allowed")
	}
	r.Note(network(0))
	allowed := 0
	for range 1000 {
		if r.Allow(netip.MustParseAddr("10.0.0.9"), now) {
			allowed++
		}
	}
	if allowed != 50 {
		t.Errorf("a regular network is allowed %d, want half of 100", allowed)
	}
	for n := range regularPrefixes {
		r.Note(network(1 + n))
		r.Note(network(1 + n))
	}
	later := now.Add(time.Minute)
	if r.Allow(network(0), later) {
		t.Error("the oldest network is still remembered")
	}
	if !r.Allow(network(1), later) || !r.Allow(network(regularPrefixes), later) {
		t.Error("one of the last networks is not remembered")
	}
	if len(r.known) != regularPrefixes || len(r.order) != regularPrefixes {
		t.Errorf("%d networks, %d in order", len(r.known), len(r.order))
	}
	if none := NewRegulars(0, time.Second); none != nil || none.Allow(network(1), now) {
		t.Error("without a limit there is nothing to get around")
	}
}
