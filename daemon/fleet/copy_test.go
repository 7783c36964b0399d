package fleet

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// A node has the lease and the place of each client of the fleet: at 10,000 clients they are a few megabytes.
func TestACopyIsSmall(t *testing.T) {
	const clients, most = 10000, 1000
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	m := newMirror(newGeometry(0, 0))
	for n := range clients {
		h := Holder{
			Node: string(rune('a' + n%3)), Epoch: fmt.Sprintf("%016x", n%3), Session: fmt.Sprintf("%016x-%d", n%3, n), Identity: fmt.Sprint("client ", n), Mark: fmt.Sprintf("certificate %032x", n),
		}
		since := time.Now()
		place := placeKey("cn "+h.Identity, 0)
		m.lease(n, revised{&Lease{Holder: h, Since: since}, uint64(2*n + 1)}, since)
		m.apply(Change{Record: Record{Key: place, Value: encode(Place{Holder: h, Since: since}), Revision: uint64(2*n + 2)}}, since)
	}
	each := (heap() - before) / clients
	runtime.KeepAlive(m)
	t.Logf("%d bytes a client", each)
	if each > most {
		t.Errorf("more than %d", most)
	}
}

// A page is its owner's until the owner's run is over, which a node knows only when it has what was written before the page.
func TestOwnersOfPages(t *testing.T) {
	now := time.Now()
	geo := newGeometry(0, 4)
	m := newMirror(geo)
	owner, leases := run{"a", "2"}, make([]revised, geo.page)
	node := func(epoch string, revision uint64) {
		m.apply(Change{Record: Record{Key: nodeKey("a"), Value: encode(Node{Epoch: epoch}), Revision: revision}}, now)
	}
	check := func(when string, want run) {
		t.Helper()
		if got := m.ownerOf(1); got != want {
			t.Errorf("%s: the owner is %v, want %v", when, got, want)
		}
	}
	check("no page", run{})
	node("1", 1)
	m.turn(1, 3, &page{owner: owner, leases: leases}, now)
	check("before the owner's record is here", owner)
	node("2", 2)
	check("while the owner runs", owner)
	node("3", 4)
	check("after the owner's run", run{})
	m.turn(1, 5, &page{leases: leases}, now)
	check("given back", run{})
}
