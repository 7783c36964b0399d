package fleet

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A node is at rest for most of its time. After many logins at once the collector lets garbage grow to as much as is in use before it runs again, and the
// runtime keeps what it has freed. At rest a node gives both back.
const (
	restEvery = time.Minute
	restMost  = 32 << 20 // bytes that are allocated in that time, at rest
	worthIt   = 2 << 20  // bytes to give back
)

// rest gives memory back when there has been little work since it was last asked.
type rest struct {
	at     time.Time
	allocs uint64 // bytes since the process began
}

// look gives memory back if that is worth it, once a minute at the most.
func (r *rest) look(now time.Time) {
	if now.Sub(r.at) < restEvery {
		return
	}
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	if r.due(now, s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()+s[3].Value.Uint64()) {
		debug.FreeOSMemory()
	}
}

// due reports whether memory is to be given back, by the bytes that were allocated so far, were in use at the last collection, and are held.
func (r *rest) due(now time.Time, allocs, live, held uint64) bool {
	quiet := allocs-r.allocs < restMost
	r.at, r.allocs = now, allocs
	return quiet && held > live+worthIt
}
