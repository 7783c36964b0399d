package fleet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Times of the pages' writer. At 500 logins a second ten of them share a write.
const (
	gather     = 25 * time.Millisecond // between two writes of one page
	pace       = 4 * time.Millisecond  // between any two
	newsWithin = 50 * time.Millisecond // for the watch to bring a page that another node has written
)

// writesAtOnce is how many pages are written at once.
const writesAtOnce = 4

// leaseWrite is a lease that is to take the place of the one at a revision.
type leaseWrite struct {
	slot  int
	lease *Lease
	was   uint64 // 0 for none
	// done is told the outcome once: nil, ErrConflict, ErrAway, ErrUnknown. It does not wait.
	done func(error)
}

// pageWriter gathers the leases that are to be written. The first of a page is written at once, those that come meanwhile share the next write. A page is
// written by one goroutine at a time.
type pageWriter struct {
	poke chan struct{}

	mu      sync.Mutex // guards what follows
	waiting map[int][]*leaseWrite
	order   []int // pages that have some, the one that waits longest first
	busy    map[int]*pageWrite
	begun   map[int]time.Time // when the last write of a page began, not long ago
	ended   bool
}

// pageWrite is a write on its way.
type pageWrite struct {
	value []byte
	page  *page
}

func newPageWriter() *pageWriter {
	return &pageWriter{
		poke: make(chan struct{}, 1), waiting: make(map[int][]*leaseWrite), busy: make(map[int]*pageWrite), begun: make(map[int]time.Time),
	}
}

// add has a lease written soon.
func (w *pageWriter) add(l *leaseWrite) {
	w.mu.Lock()
	ended := w.ended
	if !ended {
		n := pageOf(l.slot)
		if _, ok := w.waiting[n]; !ok {
			w.order = append(w.order, n)
		}
		w.waiting[n] = append(w.waiting[n], l)
	}
	w.mu.Unlock()
	if ended {
		l.done(ErrAway)
		return
	}
	w.wake()
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
	n := pageOf(l.slot)
	i := slices.Index(w.waiting[n], l)
	if i < 0 {
		return false
	}
	w.waiting[n] = slices.Delete(w.waiting[n], i, i+1)
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
		if at, ok := w.begun[page]; ok {
			if d := gather - now.Sub(at); wait == 0 || d < wait {
				wait = d
			}
			continue
		}
		list = w.waiting[page]
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
	for _, list := range waiting {
		for _, l := range list {
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
			_ = pause(ctx, pace)
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

// writeLease writes a lease in the place of the one at revision was, 0 for none, and waits for it: ErrConflict, ErrAway, or ErrUnknown.
func (m *Member) writeLease(ctx context.Context, slot int, l *Lease, was uint64) error {
	outcome := make(chan error, 1)
	w := &leaseWrite{slot: slot, lease: l, was: was, done: func(err error) { outcome <- err }}
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
		p, last, kept := m.nextPage(n, list)
		if len(kept) == 0 {
			return
		}
		value := p.encode(n)
		m.pages.sends(n, value, p)
		err := m.putPage(ctx, n, p, value, last)
		if errors.Is(err, ErrConflict) && m.newerPage(ctx, n, last) {
			list = kept
			continue
		}
		if errors.Is(err, ErrConflict) {
			err = ErrAway // another page is there, which cannot be read
		}
		for _, w := range kept {
			w.done(err)
		}
		return
	}
}

// nextPage is a page with the leases that may be written into it, and the revision that it replaces. Those that may not have their outcome.
func (m *Member) nextPage(n int, list []*leaseWrite) (p *page, last uint64, kept []*leaseWrite) {
	m.mu.Lock()
	p, last = m.mirror.page(n), m.mirror.pages[n]
	revision := max(last, m.mirror.newest) + 1 // this write's will not be lower
	m.mu.Unlock()
	for _, w := range list {
		if at := &p[pageRest(w.slot)]; at.revision == w.was {
			*at = revised{w.lease, revision}
			kept = append(kept, w)
		} else {
			w.done(ErrConflict)
		}
	}
	return p, last, kept
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
		here, news := m.mirror.pages[n] > than, m.seenNew
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
		return m.mirror.pages[n] > than
	}
}
