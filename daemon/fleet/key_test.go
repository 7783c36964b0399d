package fleet

import (
	"slices"
	"strings"
	"testing"
)

// Any text is a legal segment, and comes back.
func FuzzKey(f *testing.F) {
	f.Add("node", "alice@example.com")
	f.Add("", "=2E")
	f.Add("ümläut", "a.b*c>d e\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		key := Key(a, b)
		if i := strings.IndexFunc(key, func(r rune) bool { return r > 127 || !plain(byte(r)) && r != '=' && r != '.' }); i >= 0 {
			t.Errorf("Key(%q, %q) = %q has %q", a, b, key, key[i])
		}
		if got, ok := Segments(key); !ok || !slices.Equal(got, []string{a, b}) {
			t.Errorf("Segments(%q) = %q, %v", key, got, ok)
		}
	})
}

func FuzzSegments(f *testing.F) {
	f.Add("node.a=2Eb")
	f.Add("=.=3")
	f.Fuzz(func(t *testing.T, key string) {
		if list, ok := Segments(key); ok && Key(list...) != key {
			t.Errorf("Segments(%q) = %q, which is %q", key, list, Key(list...))
		}
	})
}

func TestSlicesAreDisjoint(t *testing.T) {
	for slots := range 600 {
		g := newGeometry(slots, 0)
		owner := make(map[int]int)
		for n := range g.slices {
			if g.size < 1 {
				t.Errorf("%d slots: slices of %d", slots, g.size)
			}
			for slot := g.first(n); slot < g.first(n)+g.size; slot++ {
				if o, taken := owner[slot]; taken || slot < g.shared() || slot >= slots || g.sliceOf(slot) != n {
					t.Errorf("%d slots: slot %d is of slice %d and %d", slots, slot, n, o)
				}
				owner[slot] = n
			}
		}
		if g.shared() < slots-slots/4 {
			t.Errorf("%d slots: only %d for all nodes", slots, g.shared())
		}
	}
}
