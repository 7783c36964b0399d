package fleet

import (
	"testing"
	"time"
)

// What a burst of work leaves behind is given back at rest, once, and not while the work goes on.
func TestMemoryIsGivenBackAtRest(t *testing.T) {
	const mb = 1 << 20
	now := time.Now()
	r := rest{at: now}
	allocs := uint64(0)
	for _, tt := range []struct {
		what                  string
		allocated, live, held uint64 // in a minute; the last two at its end
		want                  bool
	}{
		{"idle", 2 * mb, 5 * mb, 6 * mb, false},
		{"logins", 500 * mb, 20 * mb, 40 * mb, false},
		{"the last logins", 33 * mb, 28 * mb, 56 * mb, false},
		{"rest", 3 * mb, 28 * mb, 56 * mb, true},
		{"rest, after it was given back", 3 * mb, 28 * mb, 29 * mb, false},
		{"rest, with garbage again", 3 * mb, 28 * mb, 31 * mb, true},
	} {
		allocs += tt.allocated
		now = now.Add(restEvery)
		if got := r.due(now, allocs, tt.live, tt.held); got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
	r.look(now.Add(restEvery / 2))
	if r.at != now {
		t.Error("it looks again before its time")
	}
	r.look(now.Add(restEvery))
	if r.at == now || r.allocs == allocs {
		t.Error("it does not look again in time")
	}
}
