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
