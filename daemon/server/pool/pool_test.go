package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		size int
		want []string // IPv4 local4 IPv6 of the first leases
	}{
		{"subnet", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254")}, 253, []string{"10.8.0.2 - -", "10.8.0.3 - -"}},
		{"net30", Config{Start: addr("10.8.0.4"), End: addr("10.8.0.251"), Net30: true}, 62, []string{"10.8.0.6 10.8.0.5 -", "10.8.0.10 10.8.0.9 -"}},
		{"both", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254"), Base6: netip.MustParsePrefix("fd00:8::1000/64")}, 253, []string{"10.8.0.2 - fd00:8::1000", "10.8.0.3 - fd00:8::1001"}},
		{"v6 only", Config{Base6: netip.MustParsePrefix("fd00:8::2/124")}, 14, []string{"- - fd00:8::2", "- - fd00:8::3"}},
		{"v6 carry", Config{Base6: netip.MustParsePrefix("fd00:8::ffff/64")}, 65536, []string{"- - fd00:8::ffff", "- - fd00:8::1:0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if p.Size() != tt.size {
				t.Errorf("size %d, want %d", p.Size(), tt.size)
			}
			var got []string
			for i := range tt.want {
				l, err := p.Acquire(fmt.Sprint("c", i))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, strings.ReplaceAll(fmt.Sprint(l.IPv4, l.Local4, l.IPv6), "invalid IP", "-"))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBadRanges(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Start: addr("10.0.0.10"), End: addr("10.0.0.5")},
		{Start: addr("10.0.0.0"), End: addr("10.3.0.0")},
		{Start: addr("10.8.0.4"), End: addr("10.8.0.7"), Net30: true},
	} {
		if p, err := New(cfg); err == nil {
			t.Errorf("%+v: got a pool of %d, want an error", cfg, p.Size())
		}
	}
}

func TestReturningClientGetsItsAddress(t *testing.T) {
	p, err := New(Config{Start: addr("10.8.0.2"), End: addr("10.8.0.4")})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := p.Acquire("a")
	b, _ := p.Acquire("b")
	p.Release(a)
	p.Release(b)
	c, _ := p.Acquire("c") // never used slots come first
	if c.IPv4 != addr("10.8.0.4") {
		t.Errorf("newcomer got %s", c.IPv4)
	}
	if again, _ := p.Acquire("b"); again.IPv4 != b.IPv4 {
		t.Errorf("b came back to %s, had %s", again.IPv4, b.IPv4)
	}
	if d, _ := p.Acquire("d"); d.IPv4 != a.IPv4 { // the last free slot is taken from a
		t.Errorf("d got %s", d.IPv4)
	}
	if _, err := p.Acquire("a"); !errors.Is(err, ErrExhausted) {
		t.Errorf("full pool: %v", err)
	}
}

func TestPersistFile(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		in   string
		out  string
		skip int
	}{
		{"v4", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254")}, "# old\nclient1,10.8.0.9,\nclient2,10.8.0.3\n", "client2,10.8.0.3,\nclient1,10.8.0.9,\n", 0},
		{"net30", Config{Start: addr("10.8.0.4"), End: addr("10.8.0.251"), Net30: true}, "client1,10.8.0.8,\n", "client1,10.8.0.8,\n", 0},
		{"both", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254"), Base6: netip.MustParsePrefix("fd00:8::1000/64")}, "client1,10.8.0.2,fd00:8::1000\n", "client1,10.8.0.2,fd00:8::1000\n", 0},
		{"v6", Config{Base6: netip.MustParsePrefix("fd00:8::1000/64")}, "client1,,fd00:8::1001\n", "client1,,fd00:8::1001\n", 0},
		{"junk", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254")}, "x\n,10.8.0.2,\na,10.9.0.2,\nb,nonsense,\nc,10.8.0.5,\nd,10.8.0.5,\n", "c,10.8.0.5,\n", 5},
		{"zeros of a crash", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254")}, "a,10.8.0.4,\n" + strings.Repeat("\x00", 1<<17) + "\nc,10.8.0.5,\n", "a,10.8.0.4,\nc,10.8.0.5,\n", 1},
		{"zeros to the end", Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254")}, "a,10.8.0.4,\n" + strings.Repeat("\x00", 1<<17), "a,10.8.0.4,\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			skipped := 0
			if err := p.Load(strings.NewReader(tt.in), false, func(string, string) { skipped++ }); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := p.Store(&out); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.out, out.String()); d != "" {
				t.Error(d)
			}
			if skipped != tt.skip {
				t.Errorf("skipped %d lines, want %d", skipped, tt.skip)
			}
		})
	}
}

func TestFixedEntriesAreNeverGivenAway(t *testing.T) {
	p, err := New(Config{Start: addr("10.8.0.2"), End: addr("10.8.0.3")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(strings.NewReader("boss,10.8.0.2,\n"), true, func(l, r string) { t.Error(l, r) }); err != nil {
		t.Fatal(err)
	}
	if l, _ := p.Acquire("x"); l.IPv4 != addr("10.8.0.3") {
		t.Errorf("x got %s", l.IPv4)
	}
	if _, err := p.Acquire("y"); !errors.Is(err, ErrExhausted) {
		t.Errorf("y: %v", err)
	}
	for range 2 {
		l, err := p.Acquire("boss")
		if err != nil || l.IPv4 != addr("10.8.0.2") {
			t.Fatalf("boss got %v %v", l, err)
		}
		p.Release(l)
	}
}

// A model of the pool: no address is held twice, and a full pool is full exactly when it should be.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 5
		p, err := New(Config{Start: addr("10.8.0.2"), End: addr("10.8.0.6"), DuplicateCN: rapid.Bool().Draw(t, "dup")})
		if err != nil {
			t.Fatal(err)
		}
		held := map[int]Lease{}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				l, err := p.Acquire(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(t, "cn"))
				if (err != nil) != (len(held) == size) {
					t.Fatalf("%d held, error %v", len(held), err)
				}
				if err != nil {
					return
				}
				if _, twice := held[l.Slot]; twice {
					t.Fatalf("slot %d given twice", l.Slot)
				}
				held[l.Slot] = l
			},
			"release": func(t *rapid.T) {
				for slot, l := range held {
					p.Release(l)
					delete(held, slot)
					return
				}
			},
		})
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("client1,10.8.0.4,fd00:8::1000\n")
	f.Add("client1,10.8.0.4\n;x\n,,\n")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := New(Config{Start: addr("10.8.0.2"), End: addr("10.8.0.254"), Base6: netip.MustParsePrefix("fd00:8::1000/64")})
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Load(strings.NewReader(in), false, func(string, string) {})
		var one, two strings.Builder
		if err := p.Store(&one); err != nil {
			t.Fatal(err)
		}
		q, _ := New(p.cfg)
		if err := q.Load(strings.NewReader(one.String()), false, func(l, r string) { t.Errorf("own line %q: %s", l, r) }); err != nil {
			t.Fatal(err)
		}
		if err := q.Store(&two); err != nil || one.String() != two.String() {
			t.Fatalf("%v: %q became %q", err, one.String(), two.String())
		}
	})
}

// A persist file that an editor has put a byte order mark before: the first client keeps its address too.
func TestLoadByteOrderMark(t *testing.T) {
	p, err := New(Config{Start: addr("10.8.0.4"), End: addr("10.8.0.20")})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Load(strings.NewReader("\ufefffirst,10.8.0.9,\r\nsecond,10.8.0.7,\n"), false, func(line, reason string) { t.Errorf("%q: %s", line, reason) })
	if err != nil {
		t.Fatal(err)
	}
	if got := p.last["first"]; got != 5 {
		t.Errorf("the first client of the file has slot %d", got)
	}
}
