package server

import (
	"net/netip"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt"
)

// A pool that grows at its end is applied at once, but not at a node: all nodes of a fleet cut it into the same parts.
func TestEffectInAFleet(t *testing.T) {
	options := func(end, fleet string) *config.Options {
		pool := config.IfconfigPool{Start: netip.MustParseAddr("10.8.0.2"), End: netip.MustParseAddr(end)}
		o := new(config.Options)
		o.Fleet.Dir = fleet
		o.IfconfigPool = pool
		return o
	}
	before, after := "10.8.0.9", "10.8.0.19"
	if got := Effect("ifconfig-pool", options(before, ""), options(after, "")); got != mgmt.OutcomeApplied {
		t.Errorf("a server: %s", got)
	}
	if got := Effect("ifconfig-pool", options(before, "/f"), options(after, "/f")); got != mgmt.OutcomeRestart {
		t.Errorf("a node: %s", got)
	}
	if got := Effect("fleet-limit", options(before, "/f"), options(before, "/f")); got != mgmt.OutcomeApplied {
		t.Errorf("fleet-limit: %s", got)
	}
}
