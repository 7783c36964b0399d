package cookie

import (
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// A cookie is good for as long as ever when the clock is set in between.
func TestClockSteps(t *testing.T) {
	addr, client, start := netip.MustParseAddrPort("192.0.2.1:1194"), wire.SessionID{9}, time.Now()
	for _, step := range []time.Duration{-time.Hour, time.Hour, 20 * 365 * 24 * time.Hour} {
		j := newJar(t)
		s := j.Session(addr, client, start)
		if !j.Verify(addr, client, s, clock.Stepped(start.Add(time.Second), step)) {
			t.Errorf("a step of %v spoils the cookie", step)
		}
		if j.Verify(addr, client, s, clock.Stepped(start.Add(90*time.Second), step)) {
			t.Errorf("a step of %v keeps the cookie good", step)
		}
	}
}
