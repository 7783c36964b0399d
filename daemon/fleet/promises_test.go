package fleet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// bubble plays a fleet of three without faults.
func bubble(t *testing.T, cfg fleet.Config, play func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Alone = true
		w := newWorld(t, 1, 3, cfg)
		w.pass(5 * time.Second)
		play(t, w)
		w.end()
	})
}

// serves is how many sessions the nodes serve.
func (w *world) serves() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range w.nodes {
		n += len(node.up)
	}
	return n
}

func (w *world) add(identity string, mark string) *device {
	d := &device{identity: identity, mark: mark}
	w.devices = append(w.devices, d)
	return d
}

// crowd lets n devices of one user log in at once, at all nodes.
func (w *world) crowd(n int) {
	for i := range n {
		d := w.add("alice", fmt.Sprintf("%02d", i))
		w.wg.Go(func() { w.connect(d, w.nodes[i%len(w.nodes)]) })
	}
}

func TestOneOfAHundredLoginsStays(t *testing.T) {
	for _, limit := range []fleet.Limit{{Single: true}, {Max: 1}, {Max: 1, Oldest: true}, {Max: 1, Strict: true}, {Max: 3}, {Max: 3, Oldest: true, Strict: true}} {
		for _, faults := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v faults %v", limit, faults), func(t *testing.T) {
				bubble(t, fleet.Config{Slots: 253, Limit: limit}, func(t *testing.T, w *world) {
					w.cluster.Faults.Store(faults)
					w.crowd(100)
					w.pass(time.Minute)
					w.heal()
					most := max(limit.Max, 1)
					if n := w.serves(); n > most || n < most && !faults || n == 0 && !limit.Strict {
						t.Errorf("%d sessions of the user, want %d", n, most)
					}
					w.agree()
				})
			})
		}
	}
}

// Without the store a strict limit refuses, and one of best effort lets each node count its own, until the fleet counts again.
func TestLimitsWithoutTheStore(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprint(strict), func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Max: 1, Strict: strict}}, func(t *testing.T, w *world) {
				w.connect(w.add("bob", "00"), w.nodes[0])
				for _, n := range w.nodes {
					n.handle.Cut(true)
				}
				w.pass(20 * time.Second)
				w.crowd(30)
				w.pass(5 * time.Second)
				want := 1 + 3
				if strict {
					want = 1
				}
				if n := w.serves(); n != want {
					t.Errorf("%d sessions without the store, want %d", n, want)
				}
				d := w.devices[0]
				w.connect(d, w.nodes[1]) // with its token
				if d.at == nil || d.at.at != w.nodes[1] {
					t.Error("a client with a token cannot move without the store")
				}
				w.heal()
				if n := w.serves(); n != min(want, 2) {
					t.Errorf("%d sessions with the store back, want %d", n, min(want, 2))
				}
				w.agree()
			})
		})
	}
}

// The address follows the client to another node: with the store, and without any.
func TestTheAddressFollows(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("store away: %v", away), func(t *testing.T) {
			bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
				var slots []int
				for i := range 60 {
					d := w.add(fmt.Sprintf("user %d", i), "00")
					w.connect(d, w.nodes[0])
					slots = append(slots, d.at.slot)
				}
				w.pass(10 * time.Second)
				if away {
					for _, n := range w.nodes {
						n.handle.Cut(true)
					}
				}
				w.nodes[0].kill()
				w.pass(10 * time.Second)
				for i, d := range w.devices {
					began := time.Now()
					w.connect(d, w.nodes[1+i%2])
					if took := time.Since(began); took > 0 {
						t.Errorf("client %d waited %v", i, took)
					}
					if d.at == nil || d.at.slot != slots[i] {
						t.Fatalf("client %d has %+v, want slot %d", i, d.at, slots[i])
					}
				}
				w.heal()
				w.agree()
			})
		})
	}
}

// Newcomers get addresses of the node's slice while the store is away, different ones on different nodes, and keep them.
func TestNewcomersWithoutTheStore(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		for _, n := range w.nodes {
			n.handle.Cut(true)
		}
		w.pass(10 * time.Second)
		used := make(map[int]bool)
		for i := range 24 {
			d := w.add(fmt.Sprintf("user %d", i), "00")
			w.connect(d, w.nodes[i%3])
			switch {
			case i < 21 && (d.at == nil || used[d.at.slot]):
				t.Errorf("newcomer %d has %+v", i, d.at)
			case i >= 21 && d.at != nil:
				t.Errorf("newcomer %d has %+v: the slice has seven", i, d.at)
			case i < 21:
				used[d.at.slot] = true
			}
		}
		w.heal()
		w.agree()
		if n := w.serves(); n != 21 {
			t.Errorf("%d sessions after healing, want 21", n)
		}
	})
}

// A kill reaches every node, and one that is out of reach when it is back; until then the fleet says whom it did not reach.
func TestKillsReachAll(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		for i := range 9 {
			w.connect(w.add("mallory", fmt.Sprintf("%02d", i)), w.nodes[i%3])
		}
		w.connect(w.add("alice", "00"), w.nodes[2])
		w.nodes[2].handle.Cut(true)
		began := time.Now()
		id, err := w.nodes[0].member.Order(t.Context(), fleet.Order{Kind: fleet.OrderKill, User: "mallory", Reason: "test"})
		if err != nil {
			t.Fatal(err)
		}
		for w.serves() > 4 && time.Since(began) < time.Minute {
			w.pass(10 * time.Millisecond)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the kill took %v", took)
		}
		w.pass(time.Second)
		if got := strings.Join(w.nodes[0].member.Missing(id), " "); got != "c" {
			t.Errorf("not reached: %q, want c", got)
		}
		w.nodes[2].handle.Cut(false)
		w.pass(40 * time.Second)
		if n := w.serves(); n != 1 {
			t.Errorf("%d sessions, want alice's alone", n)
		}
		if got := w.nodes[0].member.Missing(id); len(got) > 0 {
			t.Errorf("not reached: %q", got)
		}
	})
}

// A ban ends sessions everywhere and holds while the store is away, and after a restart without it.
func TestBansAreKnownWithoutTheStore(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		d := w.add("mallory", "00")
		w.connect(d, w.nodes[1])
		if err := w.nodes[0].member.Ban(t.Context(), fleet.Ban{User: "mallory", Reason: "left"}); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
		if n := w.serves(); n != 0 {
			t.Errorf("%d sessions of a banned user", n)
		}
		w.nodes[1].handle.Cut(true)
		w.nodes[1].kill()
		w.nodes[1].start()
		w.pass(5 * time.Second)
		if w.connect(d, w.nodes[1]); d.at != nil {
			t.Error("the banned user is in")
		}
		w.nodes[1].handle.Cut(false)
		w.pass(time.Minute)
		if err := w.nodes[2].member.Unban(t.Context(), fleet.Ban{User: "mallory"}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		if w.connect(d, w.nodes[1]); d.at == nil {
			t.Error("the user is still banned")
		}
	})
}

// A new, empty store is filled with what the nodes know, and nobody loses an address.
func TestANewStoreIsFilled(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		for i := range 30 {
			w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[i%3])
		}
		w.pass(5 * time.Second)
		w.cluster.Clear()
		w.pass(3 * time.Second)
		for i := range 10 { // newcomers meanwhile
			w.connect(w.add(fmt.Sprintf("new %d", i), "00"), w.nodes[i%3])
		}
		w.heal()
		w.agree()
		if n := w.serves(); n != 40 {
			t.Errorf("%d sessions, want 40", n)
		}
	})
}

// Two processes of one name: the second is turned away.
func TestASecondProcessOfTheName(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		for _, dir := range []string{w.nodes[0].dir, t.TempDir()} {
			m, err := fleet.New(fleet.Config{Node: "a", Store: w.cluster.Handle(), Folder: dir, Slots: 253, Pool: "test", Host: w.nodes[0]})
			if dir == w.nodes[0].dir {
				if err == nil {
					t.Error("two processes use one folder")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Run(t.Context()); !errors.Is(err, fleet.ErrOut) {
				t.Errorf("the second process: %v", err)
			}
			if _, err := m.Begin(t.Context(), fleet.Client{ID: 1, Identity: "x"}); !errors.Is(err, fleet.ErrOut) {
				t.Errorf("a login at the second process: %v", err)
			}
		}
	})
}

// Logins that come at once share the writes of their leases, at three nodes that want the same part of the pool too; their ends do as well.
func TestLoginsShareWrites(t *testing.T) {
	const clients = 300
	bubble(t, fleet.Config{Slots: 1000}, func(t *testing.T, w *world) {
		w.trusted = true
		for step, play := range []func(){
			func() {
				for i := range clients {
					d := w.add(fmt.Sprint("user ", i), "00")
					w.wg.Go(func() { w.connect(d, w.nodes[i%3]) })
				}
			},
			func() {
				for _, d := range w.devices {
					w.leave(d)
				}
			},
		} {
			before := w.cluster.Calls()
			play()
			w.pass(5 * time.Second)
			// Each write is a call and a change at three watches; the nodes' renewals are some 20.
			if calls := w.cluster.Calls() - before; calls > clients {
				t.Errorf("step %d: %d messages for %d clients", step, calls, clients)
			}
			w.agree()
		}
		if n := w.serves(); n != 0 {
			t.Errorf("%d clients after all have left", n)
		}
		w.trusted = false
		w.check()
	})
}

// At thousands of sessions that do nothing the store has little to do; the soak has 10,000.
func TestIdleTraffic(t *testing.T) {
	idleTraffic(t, 1000)
}

func idleTraffic(t *testing.T, sessions int) {
	t.Helper()
	bubble(t, fleet.Config{Slots: 20000, Limit: fleet.Limit{Max: 1}}, func(t *testing.T, w *world) {
		w.trusted = true
		for i := range sessions {
			w.connect(w.add(fmt.Sprintf("user %d", i), "00"), w.nodes[i%3])
		}
		w.pass(2 * time.Minute)
		if n := w.serves(); n != sessions {
			t.Fatalf("%d sessions, want %d", n, sessions)
		}
		before := w.cluster.Calls()
		w.pass(10 * time.Minute)
		perSecond := float64(w.cluster.Calls()-before) / 600
		t.Logf("%.1f messages a second at %d sessions", perSecond, sessions)
		if perSecond >= 50 {
			t.Errorf("%.1f messages a second", perSecond)
		}
	})
}

// All that was ordered while the store was away reaches the other nodes when it is back.
func TestOrdersWaitForTheStore(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253}, func(t *testing.T, w *world) {
		const users = 40
		w.nodes[0].handle.Cut(true)
		w.pass(5 * time.Second)
		for i := range users {
			if err := w.nodes[0].member.Ban(t.Context(), fleet.Ban{User: fmt.Sprintf("mallory %d", i)}); !errors.Is(err, fleet.ErrAway) {
				t.Fatalf("ban %d: %v, want the store away", i, err)
			}
		}
		w.nodes[0].handle.Cut(false)
		w.pass(time.Minute)
		for i := range users {
			d := w.add(fmt.Sprintf("mallory %d", i), "00")
			if w.connect(d, w.nodes[1]); d.at != nil {
				t.Errorf("%s is in: the ban was lost", d.identity)
			}
		}
	})
}
