package fleet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// Times of the pages' writer.
const (
	gather     = 25 * time.Millisecond  // between two writes of one page
	pace       = 4 * time.Millisecond   // between any two
	patience   = 250 * time.Millisecond // of a lease that nobody waits for
	newsWithin = 50 * time.Millisecond  // for the watch to bring a page that another node has written
)

// writesAtOnce is how many pages are written at once.
const writesAtOnce = 4

// leaseWrite is a lease that is to take the place of the one at a revision. Without a lease it is about the slot's page: who owns it.
type leaseWrite struct {
	slot  int
	lease *Lease
	was   uint64 // 0 for none
	// session is whose lease it is, of a session that is in already. When it has ended meanwhile its lease takes no other's place.
	session *session
	// newcomer says that nobody had the slot, and so the page may not be another node's.
	newcomer bool
	// patient says that nobody waits for it.
	patient bool
	// done is told the outcome once: nil, ErrConflict, ErrAway, ErrUnknown. It does not wait.
	done func(error)
}

// pageWriter gathers the leases that are to be written. The first of a page is written at once if a login waits for it; those that come meanwhile share the next
// write. A page is written by one goroutine at a time.
type pageWriter struct {
	geo  geometry
	poke chan struct{}

	mu      sync.Mutex // guards what follows
	waiting map[int]*pageWaiting
	order   []int // pages that have some, the one that waits longest first
	busy    map[int]*pageWrite
	begun   map[int]time.Time // when the last write of a page began, not long ago
	ended   bool
}

// pageWaiting are the leases that wait to be written to a page, from due on.
type pageWaiting struct {
	due  time.Time
	list []*leaseWrite
}

// pageWrite is a write on its way.
type pageWrite struct {
	value []byte
	page  *page
}

func newPageWriter(geo geometry) *pageWriter {
	return &pageWriter{
		geo: geo, poke: make(chan struct{}, 1), waiting: make(map[int]*pageWaiting), busy: make(map[int]*pageWrite), begun: make(map[int]time.Time),
	}
}

// add has a lease written soon. The caller may hold a lock that done takes.
func (w *pageWriter) add(l *leaseWrite) {
	if !w.put(l, time.Now()) {
		go l.done(ErrAway)
	}
}

// put is add, and reports false after the end.
func (w *pageWriter) put(l *leaseWrite, due time.Time) bool {
	if l.patient {
		due = due.Add(patience)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	n := w.geo.pageOf(l.slot)
	p := w.waiting[n]
	switch {
	case p == nil:
		p = &pageWaiting{due: due}
		w.waiting[n] = p
		w.order = append(w.order, n)
		w.wake()
	case due.Before(p.due):
		p.due = due
		w.wake()
	}
	p.list = append(p.list, l)
	return true
}

func (w *pageWriter) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// withdraw takes a lease back that waits, and reports whether nothing of it was written.
func (w *pageWriter) withdraw(l *leaseWrite) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.waiting[w.geo.pageOf(l.slot)]
	if p == nil {
		return false
	}
	i := slices.Index(p.list, l)
	if i < 0 {
		return false
	}
	p.list = slices.Delete(p.list, i, i+1)
	return true
}

// next takes the leases of a page that may be written now. Without one it says how long to wait, 0 for the next poke.
func (w *pageWriter) next(now time.Time) (n int, list []*leaseWrite, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for page, at := range w.begun {
		if now.Sub(at) >= gather {
			delete(w.begun, page)
		}
	}
	for i, page := range w.order {
		if _, ok := w.busy[page]; ok {
			continue
		}
		due := w.waiting[page].due
		if at, ok := w.begun[page]; ok && due.Before(at.Add(gather)) {
			due = at.Add(gather)
		}
		if d := due.Sub(now); d > 0 {
			if wait == 0 || d < wait {
				wait = d
			}
			continue
		}
		list = w.waiting[page].list
		delete(w.waiting, page)
		w.order = slices.Delete(w.order, i, i+1)
		w.begun[page], w.busy[page] = now, &pageWrite{}
		return page, list, 0
	}
	return 0, nil, wait
}

// sends notes what is about to be sent; sent says whether a record is that.
func (w *pageWriter) sends(n int, value []byte, p *page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[n] = &pageWrite{value, p}
}

func (w *pageWriter) sent(n int, value []byte) *page {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.busy[n]; b != nil && bytes.Equal(b.value, value) {
		return b.page
	}
	return nil
}

// done ends the writes of a page.
func (w *pageWriter) done(n int) {
	w.mu.Lock()
	delete(w.busy, n)
	w.mu.Unlock()
	w.wake()
}

// end gives up what waits.
func (w *pageWriter) end() {
	w.mu.Lock()
	w.ended = true
	waiting := w.waiting
	w.waiting, w.order = nil, nil
	w.mu.Unlock()
	for _, p := range waiting {
		for _, l := range p.list {
			l.done(ErrAway)
		}
	}
}

// run has pages written until ctx ends.
func (w *pageWriter) run(ctx context.Context, write func(ctx context.Context, n int, list []*leaseWrite)) {
	var all sync.WaitGroup
	defer all.Wait()
	defer w.end()
	room := make(chan struct{}, writesAtOnce)
	for ctx.Err() == nil {
		n, list, wait := w.next(time.Now())
		if list != nil {
			room <- struct{}{} // a write ends within its limit
			all.Go(func() {
				write(ctx, n, list)
				w.done(n)
				<-room
			})
			_ = pause.For(ctx, pace)
			continue
		}
		var soon <-chan time.Time
		if wait > 0 {
			soon = time.After(wait)
		}
		select {
		case <-w.poke:
		case <-soon:
		case <-ctx.Done():
		}
	}
}

// writeLease writes a lease and waits for it: ErrConflict, ErrAway, or ErrUnknown.
func (m *Member) writeLease(ctx context.Context, w *leaseWrite) error {
	outcome := make(chan error, 1)
	w.done = func(err error) { outcome <- err }
	m.pages.add(w)
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		if m.pages.withdraw(w) {
			return ErrAway
		}
		return ErrUnknown
	}
}

// writePage writes leases of a page, again after other nodes have written it meanwhile, until each has its outcome.
func (m *Member) writePage(ctx context.Context, n int, list []*leaseWrite) {
	for {
		next := m.nextPage(n, list)
		for _, w := range next.refused {
			w.done(ErrConflict)
		}
		list = next.list
		var err error
		if next.changed {
			value := next.page.encode(m.geo.firstOf(n))
			m.pages.sends(n, value, next.page)
			err = m.putPage(ctx, n, next.page, value, next.last)
			if errors.Is(err, ErrConflict) {
				if m.newerPage(ctx, n, next.last) {
					continue
				}
				err = ErrAway // another page is there, which cannot be read
			}
		}
		for _, w := range list {
			w.done(err)
		}
		return
	}
}

// nextPage is a page as it is to be, and which of the changes it has.
type nextPage struct {
	page          *page
	last          uint64 // the revision that it replaces
	changed       bool
	list, refused []*leaseWrite
}

// nextPage makes a page with the changes that may be made now.
func (m *Member) nextPage(n int, list []*leaseWrite) (next nextPage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, last := m.mirror.page(n)
	next.page, next.last = p, last
	before, foreign := p.owner, m.foreign(n)
	if m.stock.claim == n && !foreign {
		m.clear(n, p, time.Now())
		next.changed = true
	}
	revision := max(last, m.mirror.newest) + 1 // this write's will not be lower
	for _, w := range list {
		at := &p.leases[m.geo.inPage(w.slot)]
		if !m.may(w, *at, foreign) {
			next.refused = append(next.refused, w)
			continue
		}
		next.list = append(next.list, w)
		if w.lease != nil {
			*at = revised{w.lease, revision}
			next.changed = true
		}
	}
	if !foreign {
		p.owner = run{}
		if m.needs(n, p) {
			p.owner = m.run()
		}
	}
	next.changed = len(next.list) > 0 && (next.changed || p.owner != before)
	return next
}

// may reports whether a change may be made where a page has a lease; foreign says that the page is another node's.
func (m *Member) may(w *leaseWrite, at revised, foreign bool) bool {
	switch {
	case w.lease == nil:
		return !foreign
	case at.revision != w.was:
		return false
	case at.lease == nil:
		return !w.newcomer || !foreign
	}
	return w.session == nil || m.bySlot[w.slot] == w.session
}

func (m *Member) putPage(ctx context.Context, n int, p *page, value []byte, last uint64) error {
	var rev uint64
	err := m.call(ctx, func(ctx context.Context) (err error) {
		if last == 0 {
			rev, err = m.cfg.Store.Create(ctx, pageKey(n), value)
		} else {
			rev, err = m.cfg.Store.Update(ctx, pageKey(n), value, last)
		}
		return err
	})
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.learnPage(n, rev, p)
	}
	return err
}

// newerPage waits for a page that is newer than the one at a revision, and reports whether it is here.
func (m *Member) newerPage(ctx context.Context, n int, than uint64) bool {
	limit := time.NewTimer(newsWithin)
	defer limit.Stop()
	for {
		m.mu.Lock()
		here, news := m.mirror.revisionOfPage(n) > than, m.seenNew
		m.mu.Unlock()
		if here {
			return true
		}
		select {
		case <-news:
			continue
		case <-limit.C:
		}
		_ = m.refresh(ctx, pageKey(n))
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.mirror.revisionOfPage(n) > than
	}
}
