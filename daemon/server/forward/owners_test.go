package forward

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// What Owners remembers is what the table says, through all changes of the table.
func TestOwnersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab Table[int]
		var owners Owners[int]
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			low := rapid.ByteRange(0, 40).Draw(t, "low")
			if rapid.Bool().Draw(t, "v6") {
				return netip.AddrFrom16([16]byte{0: 0xfd, 15: low})
			}
			return netip.AddrFrom4([4]byte{10, 0, 0, low})
		})
		route := func(t *rapid.T) (netip.Prefix, int) {
			a := addr.Draw(t, "route")
			p, _ := a.Prefix(a.BitLen() - rapid.IntRange(0, 6).Draw(t, "wide"))
			return p, rapid.IntRange(1, 3).Draw(t, "client")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				p, c := route(t)
				tab.Add(p, c, 0)
			},
			"remove": func(t *rapid.T) { tab.Remove(route(t)) },
			"ask": func(t *rapid.T) {
				owners.Refresh(&tab)
				a := addr.Draw(t, "addr")
				r := tab.Read()
				want, _ := r.Lookup(a, 0)
				r.Done()
				if got := owners.Of(&tab, a); got != want {
					t.Fatalf("%s: %d, want %d", a, got, want)
				}
			},
		})
	})
}
