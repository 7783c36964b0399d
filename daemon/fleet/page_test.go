package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fullPage has a lease of each kind in it.
func fullPage(text string) *page {
	p := &page{leases: make([]revised, pageSize)}
	if text != "" {
		p.owner = run{text[:min(len(text), 60)] + "1", fmt.Sprintf("%016x", 1)}
	}
	for i := range p.leases {
		node := fmt.Sprintf("%s%d", text[:min(len(text), 60)], i%3)
		epoch := fmt.Sprintf("%016x", i%3)
		l := &Lease{Holder: Holder{Node: node, Epoch: epoch, Session: epoch + fmt.Sprint("-", i), Identity: text, Mark: text}, Since: time.UnixMicro(1700000000000000 + int64(i))}
		switch i % 4 {
		case 1:
			l.Free = true
		case 2:
			l.Free, l.Clean = true, true
		case 3:
			l = &Lease{Holder: Holder{Node: node, Epoch: epoch}, Free: true} // as burnt ones are
		}
		p.leases[i] = revised{l, uint64(1000 + i)}
	}
	p.leases[5] = revised{}
	return p
}

// A page is read as it was written, and fits into a record whatever its clients are called.
func TestPage(t *testing.T) {
	equal := cmp.AllowUnexported(revised{}, page{}, run{})
	for name, p := range map[string]*page{
		"empty":           {leases: make([]revised, pageSize)},
		"usual":           fullPage("client"),
		"bounded":         fullPage(bounded(strings.Repeat("long ", 1000))),
		"worst to encode": fullPage(bounded(strings.Repeat("\x01", 96))),
		"worst and short": fullPage(bounded(strings.Repeat("\x01", 16))),
		"no text":         fullPage(""),
	} {
		t.Run(name, func(t *testing.T) {
			value := p.encode(3 * pageSize)
			if len(value) > 64<<10 {
				t.Errorf("%d bytes: more than a record may have", len(value))
			}
			got, err := decodePage(3*pageSize, pageSize, value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p, got, equal); diff != "" {
				t.Error(diff)
			}
			if _, err := decodePage(4*pageSize, pageSize, value); err == nil && name != "empty" {
				t.Error("it is good for another number")
			}
		})
	}
}

// Texts of clients that are too long for a record stay different.
func TestBounded(t *testing.T) {
	long := strings.Repeat("ü", 100)
	a, b := bounded(long+"a"), bounded(long+"b")
	if a == b || len(a) > textMost || len(bounded(strings.Repeat("\x01", 20))) != textMost || bounded("joe") != "joe" || bounded(long+"a") != a {
		t.Errorf("%q and %q", a, b)
	}
}

func FuzzPage(f *testing.F) {
	f.Add(fullPage("client").encode(3 * pageSize))
	f.Add([]byte(`{"runs":[],"leases":[{"slot":96,"run":-1}]}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := decodePage(3*pageSize, pageSize, value)
		if err != nil {
			return
		}
		again, err := decodePage(3*pageSize, pageSize, p.encode(3*pageSize))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again, cmp.AllowUnexported(revised{}, page{}, run{})); diff != "" {
			t.Error(diff)
		}
	})
}
