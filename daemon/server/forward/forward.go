// Package forward finds the client a tunnel packet belongs to.
//
// A Table maps tunnel addresses (host routes) and the subnets behind clients (iroutes) to clients. The control
// plane writes it, every data plane goroutine reads it: a reader takes the lock once for a batch of packets, see
// Table.Read.
//
// Rule: docs/protocol.md#65-server-routing-between-clients-and-tunnel.
package forward

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Route is one entry of a Table.
type Route[C comparable] struct {
	Prefix netip.Prefix
	Client C
	// lastRef is the second of the last packet to this destination.
	lastRef atomic.Int64
}

// LastRef is the second of the last packet that used the route, or of its creation, see Table.
func (r *Route[C]) LastRef() int64 { return r.lastRef.Load() }

// Table is a set of routes to clients of type C, usually a pointer. The zero value is empty and ready. Times are whole
// seconds of the caller's clock, a monotonic one.
type Table[C comparable] struct {
	mu      sync.RWMutex // guards everything below
	hosts   map[netip.Addr]*Route[C]
	subnets map[netip.Prefix]*Route[C]
	// Prefix lengths in use, longest first, so that a lookup tries only those.
	bits4, bits6 []length

	changes atomic.Uint64 // of who is found for an address
}

// length is a prefix length and the number of subnets that have it.
type length struct{ bits, n int }

// Add routes prefix to client, in place of the client that had it. The route counts as used in second now.
func (t *Table[C]) Add(prefix netip.Prefix, client C, now int64) {
	prefix = prefix.Masked()
	r := &Route[C]{Prefix: prefix, Client: client}
	r.lastRef.Store(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.Add(1)
	if prefix.IsSingleIP() {
		if t.hosts == nil {
			t.hosts = make(map[netip.Addr]*Route[C])
		}
		t.hosts[prefix.Addr()] = r
		return
	}
	if t.subnets == nil {
		t.subnets = make(map[netip.Prefix]*Route[C])
	}
	if _, ok := t.subnets[prefix]; !ok {
		t.count(prefix, 1)
	}
	t.subnets[prefix] = r
}

// Remove deletes prefix if it is routed to client, and reports whether it did.
func (t *Table[C]) Remove(prefix netip.Prefix, client C) bool {
	prefix = prefix.Masked()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.Add(1)
	if prefix.IsSingleIP() {
		if r, ok := t.hosts[prefix.Addr()]; ok && r.Client == client {
			delete(t.hosts, prefix.Addr())
			return true
		}
		return false
	}
	if r, ok := t.subnets[prefix]; ok && r.Client == client {
		delete(t.subnets, prefix)
		t.count(prefix, -1)
		return true
	}
	return false
}

// Owner returns the client that exactly this prefix is routed to, the zero C when there is none.
func (t *Table[C]) Owner(prefix netip.Prefix) (client C) {
	prefix = prefix.Masked()
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.subnets[prefix]
	if prefix.IsSingleIP() {
		r = t.hosts[prefix.Addr()]
	}
	if r != nil {
		client = r.Client
	}
	return client
}

// All returns the routes, host routes first, each group in the order of the addresses.
func (t *Table[C]) All() []*Route[C] {
	t.mu.RLock()
	all := make([]*Route[C], 0, len(t.hosts)+len(t.subnets))
	for _, r := range t.hosts {
		all = append(all, r)
	}
	for _, r := range t.subnets {
		all = append(all, r)
	}
	t.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Route[C]) int {
		if a.Prefix.IsSingleIP() != b.Prefix.IsSingleIP() {
			if a.Prefix.IsSingleIP() {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), b.Prefix.Bits()-a.Prefix.Bits())
	})
	return all
}

// Reader looks up destinations while it holds the table's read lock.
type Reader[C comparable] struct{ t *Table[C] }

// Read locks the table for reading until Done. Take it for a batch of packets, not for a wait.
func (t *Table[C]) Read() Reader[C] {
	t.mu.RLock()
	return Reader[C]{t}
}

// Done ends the reading.
func (r Reader[C]) Done() { r.t.mu.RUnlock() }

// Lookup finds the client for a destination: a host route, else the longest subnet. now becomes the
// route's last reference.
func (r Reader[C]) Lookup(dst netip.Addr, now int64) (client C, ok bool) {
	e := r.t.find(dst)
	if e == nil {
		return client, false
	}
	e.touch(now)
	return e.Client, true
}

// find is the longest match of an address, nil when there is none. The caller holds mu.
func (t *Table[C]) find(a netip.Addr) *Route[C] {
	if e, ok := t.hosts[a]; ok {
		return e
	}
	lengths := t.bits4
	if a.Is6() {
		lengths = t.bits6
	}
	for _, l := range lengths {
		p, err := a.Prefix(l.bits)
		if err != nil {
			break // a length of the other family cannot be in the list
		}
		if e, ok := t.subnets[p]; ok {
			return e
		}
	}
	return nil
}

// touch writes only when the second has changed, so that readers on several cores do not fight over the line.
func (r *Route[C]) touch(now int64) {
	if r.lastRef.Load() != now {
		r.lastRef.Store(now)
	}
}

// count keeps the list of prefix lengths. The caller holds mu.
func (t *Table[C]) count(p netip.Prefix, d int) {
	list := &t.bits4
	if p.Addr().Is6() {
		list = &t.bits6
	}
	i, found := slices.BinarySearchFunc(*list, p.Bits(), func(l length, bits int) int { return bits - l.bits })
	if !found {
		*list = slices.Insert(*list, i, length{bits: p.Bits()})
	}
	(*list)[i].n += d
	if (*list)[i].n == 0 {
		*list = slices.Delete(*list, i, i+1)
	}
}
