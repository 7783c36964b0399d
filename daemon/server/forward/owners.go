package forward

import "net/netip"

// Owners remembers for one goroutine which clients the addresses of a Table are routed to, so that a flow costs one lookup and
// not one a packet. The zero value is ready; it is not safe for concurrent use.
type Owners[C comparable] struct {
	changes uint64 // of the table when the entries were made
	entries [ownersKept]owner[C]
}

// ownersKept is a power of two. TCP servers have an Owners a connection, so it stays small.
const ownersKept = 16

type owner[C comparable] struct {
	addr   netip.Addr // invalid: an empty entry
	client C          // zero: no route
}

// Refresh forgets everything when the table has changed. Call it before each batch.
func (o *Owners[C]) Refresh(t *Table[C]) {
	if n := t.changes.Load(); n != o.changes {
		*o = Owners[C]{changes: n}
	}
}

// Of returns the client of the longest match of a, the zero C when there is none.
func (o *Owners[C]) Of(t *Table[C], a netip.Addr) C {
	e := &o.entries[lastByte(a)%ownersKept]
	if e.addr != a {
		*e = owner[C]{addr: a}
		t.mu.RLock()
		if r := t.find(a); r != nil {
			e.client = r.Client
		}
		t.mu.RUnlock()
	}
	return e.client
}

func lastByte(a netip.Addr) byte {
	b := a.As16()
	return b[15]
}
