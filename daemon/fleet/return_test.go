package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// A client that comes back to its node keeps its address, at once where it has a token, and also while the store is away.
func TestTheAddressStaysAtTheNode(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("store away: %v", away), func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
				d := w.add("alice", "00")
				w.connect(d, w.nodes[0])
				slot := d.at.slot
				w.pass(10 * time.Second)
				w.nodes[0].handle.Cut(away)
				w.pass(10 * time.Second)
				for range 3 {
					old := d.at
					w.mu.Lock()
					w.nodes[0].gone(old)
					w.mu.Unlock()
					w.nodes[0].member.End(old.id, false)
					began := time.Now()
					w.connect(d, w.nodes[0])
					if d.at == nil || d.at.slot != slot {
						t.Fatalf("it has %+v, want slot %d", d.at, slot)
					}
					if took := time.Since(began); took > 0 {
						t.Errorf("it waited %v", took)
					}
					w.pass(5 * time.Second)
				}
				w.heal()
				w.agree()
			})
		})
	}
}

// A client with an address of its own gives back what the pool gave it.
func TestForgo(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		d := w.add("alice", "00")
		w.connect(d, w.nodes[0])
		w.nodes[0].member.Forgo(d.at.id)
		w.mu.Lock()
		d.at.slot = -1
		w.mu.Unlock()
		w.pass(10 * time.Second)
		if s := w.nodes[0].member.Status(); s.Leases != 0 || s.Sessions != 1 {
			t.Errorf("%d leases of %d sessions, want none of one", s.Leases, s.Sessions)
		}
	})
}
