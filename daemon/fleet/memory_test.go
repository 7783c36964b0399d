package fleet

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// What a burst of work leaves behind is given back at rest, and not while the work goes on.
func TestMemoryIsGivenBackAtRest(t *testing.T) {
	kept := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64() + s[1].Value.Uint64()
	}
	now := time.Now()
	var r rest
	r.look(now)
	burst := make([][]byte, 2*restMost>>20)
	for i := range burst {
		burst[i] = make([]byte, 1<<20)
	}
	clear(burst)
	runtime.GC()
	busy := kept()
	now = now.Add(restEvery)
	r.look(now) // as much was allocated in this minute as only work does
	if got := kept(); got < busy/2 {
		t.Errorf("%d MB of %d MB are kept while there is work", got>>20, busy>>20)
	}
	r.look(now.Add(restEvery / 2)) // too soon
	if got := kept(); got < busy/2 {
		t.Errorf("%d MB of %d MB are kept, half a minute later", got>>20, busy>>20)
	}
	r.look(now.Add(restEvery))
	if got := kept(); got > busy/2 {
		t.Errorf("%d MB of %d MB are kept at rest", got>>20, busy>>20)
	}
}
