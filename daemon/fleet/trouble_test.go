package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// One client at two nodes within a moment: one session stays, with the address. Two devices of one name are one session by the limit.
func TestOneNameAtTwoNodesAtOnce(t *testing.T) {
	for _, apart := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond} {
		for _, marks := range [][2]string{{"00", "00"}, {"00", "01"}} {
			for _, faults := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %v faults %v", apart, marks, faults), func(t *testing.T) {
					bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Max: 1}}, func(t *testing.T, w *world) {
						w.cluster.Faults.Store(faults)
						w.trusted = marks[0] == marks[1] // two devices that are one client
						for i, mark := range marks {
							d := w.add("joe", mark)
							w.wg.Go(func() { w.connect(d, w.nodes[i]) })
							w.pass(apart)
						}
						w.pass(20 * time.Second)
						w.heal()
						if n := w.serves(); n != 1 && !faults || n > 1 {
							t.Errorf("%d sessions, want one", n)
						}
						w.agree()
					})
				})
			}
		}
	}
}

// Clocks that are ten minutes apart: addresses are held once, and a client that moves keeps its own.
func TestClocksFarApart(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Max: 1}}, func(t *testing.T, w *world) {
		for i, n := range w.nodes {
			n.skew = time.Duration(i-1) * 10 * time.Minute
		}
		for i := range 9 {
			w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[i%3])
		}
		w.pass(10 * time.Second)
		had := make(map[*device]int)
		for _, d := range w.devices {
			had[d] = d.at.slot
		}
		for round := 1; round <= 6; round++ { // from the clock that is ahead to the one behind as well, with the store and without it
			if round == 4 {
				for _, n := range w.nodes {
					n.handle.Cut(true)
				}
				w.pass(5 * time.Second)
			}
			for i, d := range w.devices {
				w.connect(d, w.nodes[(i+round)%3])
			}
			w.pass(2 * time.Second)
		}
		w.heal()
		for i, d := range w.devices {
			if d.at == nil { // it was sent away, and comes back
				w.connect(d, w.nodes[i%3])
			}
		}
		w.pass(10 * time.Second)
		for d, slot := range had {
			if d.at == nil || d.at.slot != slot {
				t.Errorf("%s has %+v, had slot %d", d.identity, d.at, slot)
			}
		}
		w.agree()
	})
}

// Records that no program of this layout writes keep nobody from working, and hold nothing for ever.
func TestRecordsThatCannotBeRead(t *testing.T) {
	bubble(t, fleet.Config{Slots: 8, LeaseTime: time.Minute, Limit: fleet.Limit{Max: 1}}, func(t *testing.T, w *world) {
		h := w.cluster.Handle()
		for _, key := range []string{"leases.0", "leases.1", "leases.x", "leases.99999999", "lease.0", "place.user=20joe.0", "slice.1", "ban.user.ann", "ccd.joe", "revoked.5", "order.x", "session.a.x", "node.z", "new=20kind.x", "node"} {
			if _, err := h.Create(t.Context(), key, []byte(`{"node":17,"text":[],"since":"yesterday"}`)); err != nil && !errors.Is(err, fleet.ErrConflict) {
				t.Fatal(err)
			}
		}
		w.pass(3 * time.Second)
		before := w.cluster.Calls()
		d := w.add("joe", "00")
		if w.connect(d, w.nodes[0]); d.at == nil {
			t.Fatal("a client is refused")
		}
		ann := w.add("ann", "00")
		if w.connect(ann, w.nodes[1]); ann.at != nil {
			t.Error("a ban that cannot be read is none")
		}
		w.pass(10 * time.Second)
		if n := w.cluster.Calls() - before; n > 500 {
			t.Errorf("%d messages in ten seconds", n)
		}
		w.pass(2 * time.Minute)
		for i := range 4 {
			w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[i%3])
		}
		if n := w.serves(); n != 5 {
			t.Errorf("%d sessions of five: what nobody holds is never given away", n)
		}
		w.nodes[0].kill()
		w.nodes[0].start() // from its copy on disk
		w.pass(time.Minute)
		w.agree()
	})
}

// A node whose program has another layout than the store says so and serves nobody; a field that it does not know is no reason.
func TestStoresOfOtherPrograms(t *testing.T) {
	for id, want := range map[string]string{
		`{"id":"1","pool":"test","slots":253,"open":true,"layout":99}`:           "layout 99",
		`{"id":"1","pool":"test","slots":253,"open":true,"layout":3,"other":{}}`: "",
		`{"id":"1","pool":"test","slots":253,"open":true}`:                       "layout 1",
		`{"id":17}`: "something else than a fleet",
	} {
		t.Run(id, func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
				w.cluster.Clear()
				if _, err := w.cluster.Handle().Create(t.Context(), "store", []byte(id)); err != nil {
					t.Fatal(err)
				}
				for _, n := range w.nodes {
					n.kill()
				}
				m, err := fleet.New(fleet.Config{Node: "d", Store: w.cluster.Handle(), Folder: t.TempDir(), Slots: 253, Pool: "test", Host: w.nodes[0]})
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				w.wg.Go(func() { done <- m.Run(ctx) })
				w.pass(10 * time.Second)
				select {
				case err := <-done:
					if want == "" || !errors.Is(err, fleet.ErrOut) || !strings.Contains(err.Error(), want) {
						t.Errorf("the node ends: %v", err)
					}
					if s := m.Status(); s.Store != fleet.StoreOut || !strings.Contains(s.Why, want) {
						t.Errorf("its status is %+v", s)
					}
				default:
					if want != "" || !m.Ready() {
						t.Errorf("the node goes on, ready: %v", m.Ready())
					}
				}
				stop()
			})
		})
	}
}

// The pool of a fleet changes when its nodes are restarted with another one, one after the other. Those that have it serve nobody until the last one does: no
// address is of two pools at a time. A node that is out of reach, or that comes back with the old pool, is named.
func TestThePoolChanges(t *testing.T) {
	for _, slots := range []int{16, 253, 1021} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
				for i := range 30 {
					w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[i%3])
				}
				w.pass(5 * time.Second)
				restart := func(n *node, pool string, slots int) {
					t.Helper()
					n.kill()
					w.config.Slots, w.pool = slots, pool
					n.start()
					w.pass(10 * time.Second)
				}
				waits := func(n *node, names string) {
					t.Helper()
					if s := n.member.Status(); s.Store != fleet.StoreOut || !strings.HasSuffix(s.Why, "have the same: "+names) {
						t.Errorf("node %s: %+v, want that it waits for %s", n.name, s, names)
					}
					d := w.devices[0]
					if w.connect(d, n); d.at != nil {
						t.Errorf("node %s serves while it waits", n.name)
					}
				}
				restart(w.nodes[0], "new", slots)
				waits(w.nodes[0], "b, c")
				restart(w.nodes[1], "new", slots)
				waits(w.nodes[0], "c")
				waits(w.nodes[1], "c")
				if w.connect(w.devices[0], w.nodes[2]); w.devices[0].at == nil {
					t.Error("the last node of the old pool serves nobody")
				}
				w.nodes[2].handle.Cut(true) // it may go on with its clients
				w.pass(2 * time.Minute)
				waits(w.nodes[0], "c")
				w.nodes[2].handle.Cut(false)
				restart(w.nodes[2], "new", slots)
				w.pass(10 * time.Second)
				for _, n := range w.nodes {
					if s := n.member.Status(); s.Store != fleet.StoreUp || s.Slots != slots {
						t.Errorf("node %s: %+v", n.name, s)
					}
				}
				for i, d := range w.devices[:10] {
					if w.connect(d, w.nodes[i%3]); d.at == nil || d.at.slot >= slots {
						t.Errorf("%s has %+v of %d addresses", d.identity, d.at, slots)
					}
				}
				w.pass(5 * time.Second)
				w.agree()
				restart(w.nodes[0], "test", 253)
				waits(w.nodes[0], "b, c")
				restart(w.nodes[0], "new", slots)
				if !w.nodes[0].member.Ready() {
					t.Error("the node does not come back")
				}
			})
		})
	}
}
