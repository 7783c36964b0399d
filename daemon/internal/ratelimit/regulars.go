package ratelimit

import (
	"net/netip"
	"sync"
	"time"
)

// Regulars is a limit of its own for networks that have shown who they are: when others have used up what all share, these still get
// something. It is safe for concurrent use; a nil one allows nothing.
type Regulars struct {
	limit *PerPrefix

	mu    sync.RWMutex // guards all below
	known map[netip.Prefix]struct{}
	order []netip.Prefix // of known, a ring once it is full
	next  int
}

// regularPrefixes is how many networks are remembered, the last ones.
const regularPrefixes = 4096

// NewRegulars allows n operations of all regulars in each period, and each network half of them; nil where there is no limit to get around.
func NewRegulars(n int, per time.Duration) *Regulars {
	limit := NewPerPrefix(n, per)
	if limit == nil {
		return nil
	}
	return &Regulars{limit: limit, known: make(map[netip.Prefix]struct{})}
}

// Note remembers the network of an address.
func (r *Regulars) Note(a netip.Addr) {
	if r == nil {
		return
	}
	p := Prefix(a)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[p]; ok {
		return
	}
	r.known[p] = struct{}{}
	if len(r.order) < regularPrefixes {
		r.order = append(r.order, p)
		return
	}
	delete(r.known, r.order[r.next])
	r.order[r.next] = p
	r.next = (r.next + 1) % regularPrefixes
}

// Allow takes a token for an address, if its network is a regular and there is one left.
func (r *Regulars) Allow(a netip.Addr, now time.Time) bool {
	if r == nil {
		return false
	}
	r.mu.RLock()
	_, ok := r.known[Prefix(a)]
	r.mu.RUnlock()
	return ok && r.limit.Allow(a, now)
}
