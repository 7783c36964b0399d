package fleet

import (
	"hash/fnv"
	"time"
)

// Times of a node's stock.
const (
	busyFor  = time.Second      // since the newcomer before: then the node keeps a stock
	idleFor  = 10 * time.Second // without newcomers: then it gives the stock back
	bareFor  = 10 * time.Second // between two looks for a page when there was none
	leftOver = 4                // pages that a node leaves for others
)

// A stock holds the slots that a node gives to newcomers without waiting for the store: those without a lease of pages that it owns there. While its run goes on no
// other node gives them away, so their leases may be written a moment later. The member's lock guards it.
type stock struct {
	slots []int     // in the order in which they are given
	claim int       // the page that is being claimed, -1 for none
	next  int       // the page where the search for another goes on
	last  time.Time // of the last newcomer
	bare  time.Time // when there was no page
}

// newStock is empty. Nodes look for pages in different parts of the pool.
func newStock(node string, geo geometry) *stock {
	return &stock{claim: -1, next: int(hashOf(node) % uint32(max(geo.sharedPages(), 1)))}
}

func hashOf(node string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(node))
	return h.Sum32()
}

func (m *Member) run() run { return run{m.cfg.Node, m.epoch} }

// owns reports whether this run of the node owns a page.
func (m *Member) owns(page int) bool {
	e := m.mirror.pages[page]
	return e != nil && e.owner == m.run()
}

// foreign reports whether another node owns a page.
func (m *Member) foreign(page int) bool {
	of := m.mirror.ownerOf(page)
	return of != run{} && of != m.run()
}

// ofStock takes a slot out of the stock for a newcomer.
func (m *Member) ofStock() choice {
	st := m.stock
	for len(st.slots) > 0 {
		slot := st.slots[0]
		st.slots = st.slots[1:]
		if m.mirror.leases[slot] == nil && m.free(slot) && m.owns(m.geo.pageOf(slot)) {
			return choice{found: true, slot: slot, local: true, stocked: true}
		}
	}
	return choice{}
}

// restock has the stock filled where newcomers come one after the other. It is told of each.
func (m *Member) restock(now time.Time) {
	st := m.stock
	busy := now.Sub(st.last) < busyFor
	st.last = now
	if busy && st.claim < 0 && len(st.slots) < m.geo.page/2 && now.Sub(st.bare) >= bareFor {
		m.claimPage(now)
	}
}

// claimPage has the store told that a page is this node's.
func (m *Member) claimPage(now time.Time) {
	st := m.stock
	n, ok := m.claimable(now)
	if !ok {
		st.bare = now
		return
	}
	st.claim, st.next = n, n+1
	m.pages.add(&leaseWrite{slot: m.geo.firstOf(n), done: func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		st.claim = -1
		if err != nil {
			return // if it is this node's all the same, handBack tells the store
		}
		for slot := m.geo.firstOf(n); slot < m.geo.firstOf(n+1); slot++ {
			if m.mirror.leases[slot] == nil && m.free(slot) {
				st.slots = append(st.slots, slot)
			}
		}
	}})
}

// claimable is a page that nobody owns and half of which is free at least: first one whose slots nobody had. The node leaves some for others.
func (m *Member) claimable(now time.Time) (page int, ok bool) {
	pages := m.geo.sharedPages()
	for _, free := range []func(int) int{m.neverUsed, func(n int) int { return m.usable(n, now) }} {
		found := 0
		for i := range pages {
			n := (m.stock.next + i) % pages
			if m.mirror.ownerOf(n) != (run{}) || 2*free(n) < m.geo.page {
				continue
			}
			if found++; found == 1 {
				page = n
			}
			if found > leftOver {
				return page, true
			}
		}
	}
	return -1, false
}

// neverUsed is how many slots of a page have no lease.
func (m *Member) neverUsed(n int) int {
	if e := m.mirror.pages[n]; e != nil {
		return m.geo.page - e.leases
	}
	return m.geo.page
}

// usable is how many slots of a page any client may have.
func (m *Member) usable(n int, now time.Time) (count int) {
	for slot := m.geo.firstOf(n); slot < m.geo.firstOf(n+1); slot++ {
		if m.mirror.leases[slot] == nil && m.free(slot) || m.outlived(slot, now) {
			count++
		}
	}
	return count
}

// outlived reports whether a slot has a lease that is over, and its time too.
func (m *Member) outlived(slot int, now time.Time) bool {
	e := m.mirror.leases[slot]
	return e != nil && m.free(slot) && m.mirror.reusable(e, m.cfg.LeaseTime, now)
}

// clear takes leases whose time is over out of a page that is being claimed, if few of its slots have none.
func (m *Member) clear(n int, p *page, now time.Time) {
	if 2*m.neverUsed(n) >= m.geo.page {
		return
	}
	for i := range p.leases {
		if m.outlived(m.geo.firstOf(n)+i, now) {
			p.leases[i] = revised{}
		}
	}
}

// needs reports whether a page that will be as p stays this node's: it has slots in stock there, or given ones that the store has not heard of.
func (m *Member) needs(n int, p *page) bool {
	if m.stock.claim == n {
		return true
	}
	for _, slot := range m.stock.slots {
		if m.geo.pageOf(slot) == n {
			return true
		}
	}
	for i := range p.leases {
		slot := m.geo.firstOf(n) + i
		if _, leaving := m.leaving[slot]; p.leases[i].lease == nil && (leaving || m.bySlot[slot] != nil) {
			return true
		}
	}
	return false
}

// handBack gives up what is not needed: the stock after a while without newcomers, and pages that have nothing in stock.
func (m *Member) handBack(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.joined {
		return
	}
	if now.Sub(m.stock.last) >= idleFor {
		m.stock.slots = nil
	}
	for n := range m.mirror.pages {
		if !m.owns(n) {
			continue
		}
		if p, _ := m.mirror.page(n); !m.needs(n, p) {
			m.pages.add(&leaseWrite{slot: m.geo.firstOf(n), done: func(error) {}}) // else the next time
		}
	}
}

// give has the lease of a slot of the stock written, while its client is in already. The caller holds the lock.
func (m *Member) give(s *session) {
	slot := s.slot
	s.writing = true
	m.pages.add(&leaseWrite{slot: slot, lease: s.lease(), session: s, newcomer: true, patient: true, done: func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		s.writing = false
		if l := as[Lease](m.mirror.leases[slot]); err != nil || m.bySlot[slot] != s || l == nil || l.Free || !l.sameSession(&s.Holder) {
			m.work.add(leaseKey(slot)) // what came meanwhile has waited for this
		}
	}})
}
