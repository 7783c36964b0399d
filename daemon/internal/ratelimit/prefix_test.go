package ratelimit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// One network uses up its own share, and another one is still served.
func TestPerPrefix(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := NewPerPrefix(100, 10*time.Second)
	for name, source := range map[string]func(n int) string{
		"IPv4":        func(n int) string { return fmt.Sprintf("192.0.2.%d", n%256) },
		"mapped IPv4": func(n int) string { return fmt.Sprintf("::ffff:192.0.2.%d", n%256) },
		"IPv6":        func(n int) string { return fmt.Sprintf("2001:db8:1:%x::%x", n, n) },
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPerPrefix(100, 10*time.Second)
			allowed := 0
			for n := range 1000 {
				if p.Allow(netip.MustParseAddr(source(n)), now) {
					allowed++
				}
			}
			if allowed != 50 {
				t.Errorf("a prefix was allowed %d, want half of 100", allowed)
			}
			if !p.Allow(netip.MustParseAddr("198.51.100.1"), now) {
				t.Error("another prefix was refused")
			}
			p.Credit(netip.MustParseAddr(source(0)))
			if !p.Allow(netip.MustParseAddr(source(7)), now) {
				t.Error("a token that was given back is not there")
			}
		})
	}
	allowed := 0
	for n := range 1000 {
		if p.Allow(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), now) {
			allowed++
		}
	}
	if allowed != 100 {
		t.Errorf("many prefixes were allowed %d, want 100", allowed)
	}
	if NewPerPrefix(0, time.Second) != nil || !(*PerPrefix)(nil).Allow(netip.MustParseAddr("::1"), now) {
		t.Error("no limit must allow everything")
	}
	if n := testing.AllocsPerRun(100, func() { p.Allow(netip.MustParseAddr("192.0.2.1"), now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
