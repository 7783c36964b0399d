package fleet_test

import (
	"fmt"
	"testing"
	"testing/synctest"
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

// restarted is a client whose node has been killed and has just started again, and the slot that it had there.
func (w *world) restarted() (d *device, n *node, slot int) {
	d, n = w.add("alice", "00"), w.nodes[0]
	w.connect(d, n)
	slot = d.at.slot
	w.pass(10 * time.Second)
	n.kill()
	w.pass(time.Second)
	n.start()
	return d, n, slot
}

// A client keeps its address at a node that has just started again, at whatever moment it comes: also while the node is on its way into the store.
func TestTheAddressStaysWhileTheNodeStarts(t *testing.T) {
	for after := time.Duration(0); after < 30*time.Millisecond; after += time.Millisecond {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
				d, n, slot := w.restarted()
				w.pass(after)
				w.connect(d, n)
				if d.at == nil || d.at.slot != slot {
					t.Errorf("it has %+v, want slot %d", d.at, slot)
				}
				w.pass(10 * time.Second)
				w.agree()
			})
		})
	}
}

// A client keeps its address at a node that has started again and come into the store, and then does not hear of it any more.
func TestTheAddressStaysAfterTheNodeStarted(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		d, n, slot := w.restarted()
		w.pass(5 * time.Second)
		n.handle.Cut(true)
		w.pass(10 * time.Second)
		w.connect(d, n)
		if d.at == nil || d.at.slot != slot {
			t.Errorf("it has %+v, want slot %d", d.at, slot)
		}
		w.heal()
		w.agree()
	})
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

// A silent node keeps its clients' addresses; after it has left they are given to others when their time is over.
func TestALostNodeLeaves(t *testing.T) {
	bubble(t, fleet.Config{Slots: 16, LeaseTime: 5 * time.Minute}, func(t *testing.T, w *world) {
		for i := range 12 { // the slots for all nodes
			w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[2])
		}
		w.pass(10 * time.Second)
		w.nodes[2].handle.Cut(true)
		w.pass(time.Hour)
		d := w.add("newcomer", "00")
		for range 3 { // the slice has two
			w.connect(d, w.nodes[0])
			d = w.add("newcomer", fmt.Sprint(len(w.devices)))
		}
		if n := len(w.nodes[0].up); n > 2 {
			t.Errorf("%d newcomers have addresses while a silent node holds all", n)
		}
		w.nodes[2].kill()
		if err := w.nodes[0].member.Leave(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.pass(6 * time.Minute)
		for i := range 8 {
			d := w.add(fmt.Sprintf("late %d", i), "00")
			if w.connect(d, w.nodes[1]); d.at == nil {
				t.Errorf("newcomer %d has no address after the lost node left", i)
			}
		}
	})
}

// An old leader that answers for a moment after a long partition tells a node nothing that it could give an address away by.
func TestAnOldLeaderIsNotBelieved(t *testing.T) {
	anOldLeaderIsNotBelieved(t, 3) // the soak takes each
}

// anOldLeaderIsNotBelieved has the leader answer at moments 77 ms apart or a multiple of that, between two renewals.
func anOldLeaderIsNotBelieved(t *testing.T, stride uint64) {
	t.Helper()
	for seed := uint64(0); seed < 24; seed += stride {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed, 3, fleet.Config{Slots: 16, LeaseTime: 2 * time.Minute, Alone: true})
				w.pass(5 * time.Second)
				var old []*device
				for i := range 12 { // the slots for all nodes
					d := w.add(fmt.Sprintf("user %d", i), "00")
					w.connect(d, w.nodes[0])
					old = append(old, d)
				}
				w.pass(10 * time.Second)
				c := w.nodes[2].handle
				c.Cut(true) // what it has seen last: they are at another node
				w.pass(10 * time.Second)
				for _, d := range old {
					w.leave(d) // and their node gives their addresses to others, after their time
					d.mark, d.token = d.mark[:2], true
				}
				w.pass(5*time.Minute + time.Duration(seed)*77*time.Millisecond) // the renewals are every three seconds
				for i := range 12 {
					w.connect(w.add(fmt.Sprintf("newcomer %d", i), "00"), w.nodes[i%2])
				}
				w.cluster.Faults.Store(true)
				c.Still(seed%2 == 0) // then it does not hear that others write
				c.Cut(false)
				for range 20 {
					w.pass(100 * time.Millisecond)
					for _, d := range old { // that it remembers
						if d.at == nil {
							w.connect(d, w.nodes[2])
						}
					}
				}

				w.heal()
				w.end()
			})
		})
	}
}

// A login that the store answers too late gets an address of the node's slice, and what was asked for lands after all. The client's address
// is the one that it got.
func TestTheAddressFollowsAfterALateWrite(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		w.cluster.Faults.Store(true)
		w.nodes[0].handle.Cut(true) // it does not know yet
		for i := range 6 {
			d := w.add(fmt.Sprintf("user %d", i), "00")
			w.wg.Go(func() { w.connect(d, w.nodes[0]) })
		}
		w.pass(10 * time.Second)
		w.heal()
		for _, d := range w.devices {
			if d.at == nil {
				t.Fatalf("%s is not in", d.identity)
			}
			slot := d.at.slot
			w.connect(d, w.nodes[1])
			if d.at == nil || d.at.slot != slot {
				t.Errorf("%s has %+v, want slot %d", d.identity, d.at, slot)
			}
		}
	})
}
