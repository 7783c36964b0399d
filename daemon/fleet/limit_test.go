package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// A limit that a reload brings counts for logins from then on; nobody is ended by it.
func TestALimitIsChanged(t *testing.T) {
	for name, tt := range map[string]struct {
		one  fleet.Limit
		last int // sessions after one is put in force again, and another login
	}{
		"a place": {fleet.Limit{Max: 1}, 3}, // those that came while there was none do not count
		"single":  {fleet.Limit{Single: true}, 1},
	} {
		t.Run(name, func(t *testing.T) { aLimitIsChanged(t, tt.one, tt.last) })
	}
}

func aLimitIsChanged(t *testing.T, one fleet.Limit, last int) {
	bubble(t, fleet.Config{Slots: 253, Limit: one}, func(t *testing.T, w *world) {
		limit := func(l fleet.Limit) {
			for _, n := range w.nodes {
				n.member.SetLimit(l)
			}
			w.pass(time.Second)
		}
		var marks byte
		login := func(want int) {
			t.Helper()
			marks++
			w.connect(w.add("joe", string('a'+rune(marks))), w.nodes[int(marks)%3])
			w.pass(5 * time.Second)
			if n := w.serves(); n != want {
				t.Errorf("login %d: %d sessions, want %d", marks, n, want)
			}
		}
		login(1)
		login(1)
		limit(fleet.Limit{Max: 2})
		login(2)
		login(2)
		limit(fleet.Limit{})
		login(3)
		limit(fleet.Limit{Max: 2, Oldest: true})
		if n := w.serves(); n != 3 {
			t.Errorf("a lower limit ended sessions: %d are left of 3", n)
		}
		login(3)
		w.nodes[0].handle.Cut(true)
		w.pass(5 * time.Second)
		limit(fleet.Limit{})
		w.nodes[0].handle.Cut(false)
		w.pass(time.Minute)
		login(4)
		limit(one)
		login(last)
	})
}

// A lower limit counts at the user's next login: where the newest wins, only as many are left, and where the oldest wins, nobody comes in before enough
// have gone.
func TestALimitIsLowered(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Max: 4}}, func(t *testing.T, w *world) {
		limit := func(l fleet.Limit) {
			for _, n := range w.nodes {
				n.member.SetLimit(l)
			}
			w.pass(time.Second)
		}
		var in []*device
		login := func(want int) {
			t.Helper()
			d := w.add("joe", fmt.Sprintf("m%d", len(in)))
			in = append(in, d)
			w.connect(d, w.nodes[len(in)%3])
			w.pass(5 * time.Second)
			if n := w.serves(); n != want {
				t.Errorf("login %d: %d sessions, want %d", len(in), n, want)
			}
		}
		login(1)
		login(2)
		login(3)
		login(4)
		limit(fleet.Limit{Max: 2})
		login(2)
		login(2)
		limit(fleet.Limit{Max: 4})
		login(3)
		login(4)
		limit(fleet.Limit{Max: 2, Oldest: true})
		login(4)
		w.leave(in[5])
		w.leave(in[4])
		w.pass(5 * time.Second)
		if n := w.serves(); n != 2 {
			t.Fatalf("%d sessions are left, and not 2", n)
		}
		login(2)
		w.leave(in[6])
		w.pass(5 * time.Second)
		login(2)
	})
}
