package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// An identity has one session, the newest, whether its clients have addresses of the pool, give theirs back, or need none; at one node, at two, and across
// a partition.
func TestOneSessionOfAnIdentity(t *testing.T) {
	kinds := []string{"pool", "forgo", "fixed"}
	for _, first := range kinds {
		for _, second := range kinds {
			for _, cut := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, then %s, cut off %v", first, second, cut), func(t *testing.T) {
					bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Single: true}}, func(t *testing.T, w *world) {
						login := func(n *node, id uint64, kind string) {
							t.Helper()
							c := fleet.Client{ID: id, Identity: "joe", Mark: kind + fmt.Sprint(id), User: "cn joe", CommonName: "joe", Since: time.Now(), Fixed: kind == "fixed"}
							if _, err := n.member.Begin(t.Context(), c); err != nil {
								t.Fatal(err)
							}
							if kind == "forgo" {
								n.member.Forgo(id)
							}
						}
						a, b := w.nodes[0], w.nodes[1]
						login(a, 1, first)
						w.pass(5 * time.Minute)
						if cut {
							b.handle.Cut(true)
							w.pass(10 * time.Second)
						}
						login(b, 2, second)
						w.pass(10 * time.Second)
						w.heal()
						w.mu.Lock()
						defer w.mu.Unlock()
						if !w.ended[1] || w.ended[2] {
							t.Errorf("the older session is ended: %v, the newer: %v; want only the older", w.ended[1], w.ended[2])
						}
					})
				})
			}
		}
	}
}

// Many logins of an identity leave the last one, at any node.
func TestTheLastLoginStays(t *testing.T) {
	bubble(t, fleet.Config{Slots: 253, Limit: fleet.Limit{Single: true}}, func(t *testing.T, w *world) {
		for i := range 20 {
			w.connect(w.add("joe", fmt.Sprintf("%02d", i)), w.nodes[i%3])
			w.pass(100 * time.Millisecond)
		}
		w.pass(5 * time.Second)
		last := w.devices[len(w.devices)-1]
		if n := w.serves(); n != 1 || last.at == nil {
			t.Errorf("%d sessions are left, want the last one's", n)
		}
		w.agree()
	})
}
