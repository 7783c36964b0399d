package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// newcomers lets clients that nobody knows log in at a node one after the other, and returns how many had to wait and how many came in.
func (w *world) newcomers(n *node, many int, every time.Duration) (waited, in int) {
	for range many {
		d := w.add(fmt.Sprintf("newcomer %d", len(w.devices)), "00")
		began := time.Now()
		w.connect(d, n)
		if time.Since(began) > 0 {
			waited++
		}
		if d.at != nil {
			in++
		}
		w.pass(every)
	}
	return waited, in
}

// owners are the nodes that own pages, by page.
func (w *world) owners() map[int]string {
	return fleet.OwnersOf(w.cluster.Records(), w.config.PageSize)
}

// Where newcomers come one after the other they do not wait for the store, which hears of all of them soon, in few writes. Afterwards nobody owns a page.
func TestNewcomersDoNotWait(t *testing.T) {
	bubble(t, fleet.Config{Slots: 8192}, func(t *testing.T, w *world) {
		before := len(w.history)
		const many = 1000
		waited, in := w.newcomers(w.nodes[0], many, time.Millisecond)
		if waited > 8 || in != many {
			t.Errorf("%d of %d clients waited, %d are in", waited, many, in)
		}
		w.pass(time.Second)
		w.agree()
		w.mu.Lock()
		writes := len(w.history) - before - many
		w.mu.Unlock()
		if writes > many/20 {
			t.Errorf("%d clients took %d writes", many, writes)
		}
		if owned := w.owners(); len(owned) == 0 {
			t.Error("the node owns no page")
		}
		w.pass(20 * time.Second)
		if owned := w.owners(); len(owned) > 0 {
			t.Errorf("pages have owners at rest: %v", owned)
		}
	})
}

// A client now and then takes no stock.
func TestNoStockForFew(t *testing.T) {
	bubble(t, fleet.Config{Slots: 8192}, func(t *testing.T, w *world) {
		w.newcomers(w.nodes[0], 20, 2*time.Second)
		if owned := w.owners(); len(owned) > 0 {
			t.Errorf("pages have owners: %v", owned)
		}
	})
}

// No other node gives away what a node has in stock, not even while that node is gone. When it runs again, its old stock is free for all.
func TestStockIsOneNodes(t *testing.T) {
	bubble(t, fleet.Config{Slots: 40, PageSize: 5, LeaseTime: 2 * time.Minute}, func(t *testing.T, w *world) {
		w.newcomers(w.nodes[0], 4, 100*time.Millisecond)
		w.pass(time.Second)
		owned := w.owners()
		if len(owned) == 0 {
			t.Fatal("the node has no stock")
		}
		w.nodes[0].kill()
		const shared = 30
		_, in := w.newcomers(w.nodes[1], shared, 20*time.Millisecond)
		w.pass(time.Second)
		slots := make(map[int]bool)
		for slot := range fleet.LeasesOf(w.cluster.Records(), w.config.PageSize) {
			slots[slot] = true
		}
		left := 0
		for page := range owned {
			for slot := page * w.config.PageSize; slot < (page+1)*w.config.PageSize; slot++ {
				if !slots[slot] {
					left++
				}
			}
		}
		if left == 0 {
			t.Errorf("another node gave away what the node that is gone owns (%d came in)", in)
		}
		w.nodes[0].start()
		w.pass(20 * time.Second)
		if _, again := w.newcomers(w.nodes[1], left, time.Second); again != left {
			t.Errorf("%d of the %d slots of a stock that is over were given away", again, left)
		}
		w.agree()
	})
}

// A node that has a crowd leaves addresses for the others.
func TestStockLeavesSomeForOthers(t *testing.T) {
	bubble(t, fleet.Config{Slots: 200, PageSize: 5}, func(t *testing.T, w *world) {
		w.newcomers(w.nodes[0], 120, time.Millisecond)
		for _, n := range w.nodes[1:] {
			if _, in := w.newcomers(n, 10, time.Millisecond); in != 10 {
				t.Errorf("%d of 10 newcomers came in at node %s", in, n.name)
			}
		}
	})
}

// A stock takes addresses that clients had when no others are left, and only when these cannot come back for them.
func TestStockOfUsedPages(t *testing.T) {
	bubble(t, fleet.Config{Slots: 200, PageSize: 5, LeaseTime: 2 * time.Minute}, func(t *testing.T, w *world) {
		w.newcomers(w.nodes[0], 150, 10*time.Millisecond)
		kept := w.devices[:75]
		for _, d := range w.devices[75:] {
			w.leave(d)
		}
		w.pass(3 * time.Minute)
		waited, in := w.newcomers(w.nodes[0], 60, 10*time.Millisecond)
		if in != 60 || waited > 20 {
			t.Errorf("%d of 60 came in, %d waited", in, waited)
		}
		for _, d := range kept {
			if d.at == nil {
				t.Errorf("%s has lost its session", d.identity)
			}
		}
		w.pass(time.Second)
		w.agree()
	})
}

// A stock counts in the store alone in which it was taken.
func TestStockOfALostStore(t *testing.T) {
	bubble(t, fleet.Config{Slots: 200, PageSize: 5, LeaseTime: 2 * time.Minute}, func(t *testing.T, w *world) {
		for range 3 {
			w.newcomers(w.nodes[0], 8, 50*time.Millisecond)
			w.cluster.Clear()
			w.pass(5 * time.Second)
			for range 6 { // they find the pages free that the node had
				w.newcomers(w.nodes[1], 3, 10*time.Millisecond)
				w.newcomers(w.nodes[0], 1, 10*time.Millisecond)
			}
		}
		w.pass(20 * time.Second)
		w.agree()
	})
}

// Of two newcomers of one name at one node that has a stock one stays, and the other's address is free again.
func TestStockAndOneSession(t *testing.T) {
	bubble(t, fleet.Config{Slots: 200, PageSize: 5, Limit: fleet.Limit{Single: true}}, func(t *testing.T, w *world) {
		w.newcomers(w.nodes[0], 6, 50*time.Millisecond)
		for i := range 6 {
			w.connect(w.add("joe", fmt.Sprintf("%02d", i)), w.nodes[0])
			w.pass(20 * time.Millisecond)
		}
		w.pass(20 * time.Second)
		if n := w.serves(); n != 7 {
			t.Errorf("%d sessions, want one of joe and six others", n)
		}
		w.agree()
	})
}
