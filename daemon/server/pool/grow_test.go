package pool_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/server/pool"
)

func TestGrow(t *testing.T) {
	cfg := pool.Config{Start: netip.MustParseAddr("10.8.0.2"), End: netip.MustParseAddr("10.8.0.3")}
	p, err := pool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	acquire := func(name, want string) {
		t.Helper()
		l, err := p.Acquire(name)
		if err != nil || l.IPv4 != netip.MustParseAddr(want) {
			t.Errorf("%s got %v %v, want %s", name, l.IPv4, err, want)
		}
	}
	acquire("a", "10.8.0.2")
	acquire("b", "10.8.0.3")
	if _, err := p.Acquire("c"); !errors.Is(err, pool.ErrExhausted) {
		t.Fatalf("a third client of two: %v", err)
	}
	cfg.End = netip.MustParseAddr("10.8.0.5")
	if err := p.Grow(cfg); err != nil || p.Size() != 4 {
		t.Fatalf("grow: %v, size %d", err, p.Size())
	}
	acquire("c", "10.8.0.4")
	acquire("d", "10.8.0.5")
	if _, err := p.Acquire("e"); !errors.Is(err, pool.ErrExhausted) {
		t.Errorf("a fifth client of four: %v", err)
	}
	for _, bad := range []pool.Config{
		{Start: cfg.Start, End: netip.MustParseAddr("10.8.0.4")},
		{Start: netip.MustParseAddr("10.8.0.1"), End: netip.MustParseAddr("10.8.0.9")},
	} {
		if err := p.Grow(bad); err == nil || p.Size() != 4 {
			t.Errorf("grow to %+v: %v, size %d", bad, err, p.Size())
		}
	}
}
