package forward

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestLookup(t *testing.T) {
	var tab Table[string]
	for p, c := range map[string]string{
		"10.8.0.2/32": "a", "10.8.0.3/32": "b", "192.168.0.0/16": "a", "192.168.5.0/24": "b",
		"fd00:8::1000/128": "a", "fd00:50::/48": "b", "::/0": "c",
	} {
		tab.Add(prefix(p), c, 7)
	}
	tests := []struct{ dst, want string }{
		{"10.8.0.2", "a"},
		{"10.8.0.3", "b"},
		{"10.8.0.4", ""},
		{"192.168.4.1", "a"},
		{"192.168.5.1", "b"},
		{"fd00:8::1000", "a"},
		{"fd00:50::1", "b"},
		{"2001:db8::1", "c"},
	}
	r := tab.Read()
	for _, tt := range tests {
		if got, ok := r.Lookup(netip.MustParseAddr(tt.dst), 9); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q %v, want %q", tt.dst, got, ok, tt.want)
		}
	}
	r.Done()
	if n := testing.AllocsPerRun(100, func() {
		r := tab.Read()
		r.Lookup(netip.AddrFrom4([4]byte{192, 168, 5, 1}), 9)
		r.Done()
	}); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func TestOwnership(t *testing.T) {
	var tab Table[string]
	tab.Add(prefix("10.8.0.2/32"), "a", 1)
	tab.Add(prefix("10.8.0.2/32"), "b", 2)
	if tab.Remove(prefix("10.8.0.2/32"), "a") {
		t.Error("a removed the route of b")
	}
	if !tab.Remove(prefix("10.8.0.2/32"), "b") || len(tab.All()) != 0 {
		t.Error("b could not remove its route")
	}
}

// The table against the obvious implementation.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab Table[int]
		model := map[netip.Prefix]int{}
		addrs := rapid.Custom(func(t *rapid.T) netip.Addr {
			if rapid.Bool().Draw(t, "v6") {
				return netip.AddrFrom16([16]byte{0: 0xfd, 15: rapid.ByteRange(0, 7).Draw(t, "low")})
			}
			return netip.AddrFrom4([4]byte{10, 0, 0, rapid.ByteRange(0, 7).Draw(t, "low")})
		})
		draw := func(t *rapid.T) netip.Prefix {
			a := addrs.Draw(t, "addr")
			p, _ := a.Prefix(a.BitLen() - rapid.IntRange(0, 3).Draw(t, "wide"))
			return p
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				p, c := draw(t), rapid.IntRange(1, 3).Draw(t, "client")
				tab.Add(p, c, 0)
				model[p] = c
			},
			"remove": func(t *rapid.T) {
				p, c := draw(t), rapid.IntRange(1, 3).Draw(t, "client")
				if tab.Remove(p, c) != (model[p] == c) {
					t.Fatalf("remove %s of %d", p, c)
				}
				if model[p] == c {
					delete(model, p)
				}
			},
			"lookup": func(t *rapid.T) {
				a, want, bits := addrs.Draw(t, "dst"), 0, -1
				for p, c := range model {
					if p.Contains(a) && p.Bits() > bits {
						want, bits = c, p.Bits()
					}
				}
				r := tab.Read()
				defer r.Done()
				if got, ok := r.Lookup(a, 0); got != want || ok != (bits >= 0) {
					t.Fatalf("%s: %d %v, want %d", a, got, ok, want)
				}
			},
		})
	})
}

func TestStations(t *testing.T) {
	var s Stations[string]
	m := func(n byte) EtherAddr { return EtherAddr{MAC{2, 0, 0, 0, 0, n}, 0} }
	for _, tt := range []struct {
		addr   EtherAddr
		client string
		want   Learned
	}{
		{m(1), "a", Added},
		{m(1), "a", Known},
		{m(2), "a", Added},
		{m(3), "a", Full},
		{m(1), "b", Moved},
		{EtherAddr{m(1).MAC, 7}, "b", Added}, // another VLAN, another station
	} {
		if got := s.Learn(tt.addr, tt.client, 2, 3); got != tt.want {
			t.Errorf("%s of %s: %d, want %d", tt.addr, tt.client, got, tt.want)
		}
	}
	if c, ok := s.Lookup(m(1), 4); c != "b" || !ok {
		t.Errorf("station is at %q", c)
	}
	gone := s.Forget(func(e *Station[string]) bool { return e.Client == "a" })
	if len(gone) != 1 || gone[0].Addr != m(2) || len(s.All()) != 2 {
		t.Errorf("forgot %v, left %v", gone, s.All())
	}
	if got := (EtherAddr{MAC{0xf6, 0x35, 0xd5, 0x18, 0xb6, 0xa8}, 4}).String(); got != "f6:35:d5:18:b6:a8@4" {
		t.Error(got)
	}
}

// A station that others take belongs to the client it was taken from first, until that one has it again or leaves.
func TestStationsTaken(t *testing.T) {
	var s Stations[string]
	m := EtherAddr{MAC{2, 0, 0, 0, 0, 1}, 0}
	for step, tt := range []struct{ sender, home string }{
		{"a", ""}, {"b", "a"}, {"c", "a"}, {"b", "a"}, {"a", ""}, {"c", "a"}, {"a", ""},
	} {
		s.Learn(m, tt.sender, 9, 1)
		for _, c := range []string{"a", "b", "c"} {
			if got := s.Taken(m, c); got != (c == tt.home) {
				t.Errorf("after step %d it was taken from %s: %v", step, c, got)
			}
		}
	}
	s.Learn(m, "b", 9, 1)
	if gone := s.Leave("a"); len(gone) != 0 || s.Taken(m, "a") {
		t.Errorf("a client that left still has a claim; %d stations went with it", len(gone))
	}
	if gone := s.Leave("b"); len(gone) != 1 {
		t.Errorf("%d stations went with the client that has one", len(gone))
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add([]byte{0x45, 19: 1})
	f.Add([]byte{0x60, 39: 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		src, dst, ok := Addresses(b)
		if ok != src.IsValid() || ok != dst.IsValid() {
			t.Fatal(src, dst, ok)
		}
		Frame(b)
	})
}

func TestAddresses(t *testing.T) {
	v4 := append([]byte{0x45}, make([]byte, 19)...)
	copy(v4[12:], []byte{10, 8, 0, 2, 10, 8, 0, 1})
	src, dst, ok := Addresses(v4)
	if d := cmp.Diff([]string{"10.8.0.2", "10.8.0.1"}, []string{src.String(), dst.String()}); d != "" || !ok {
		t.Error(d, ok)
	}
	if _, _, ok := Addresses(v4[:19]); ok {
		t.Error("short packet accepted")
	}
}
