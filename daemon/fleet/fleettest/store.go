// Package fleettest is a fleet's store in memory, for tests: with partitions, delays, lost answers, writes that land late, watches that
// stand still, and old leaders that answer for a moment after a partition.
package fleettest

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// A Cluster holds the true state of a store. Nodes reach it through handles.
type Cluster struct {
	// Faults makes answers slow, lost and late even where nothing is cut off.
	Faults atomic.Bool
	// Trace is told each change that lands; may be nil. It must not ask the store.
	Trace func(fleet.Change)

	mu      sync.Mutex
	rnd     *rand.Rand
	rev     uint64
	records map[string]fleet.Record
	handles []*Handle
	// Calls counts questions, the records of lists, and changes that watches brought.
	calls int
}

// New makes an empty store whose faults follow from a seed.
func New(seed uint64) *Cluster {
	return &Cluster{rnd: rand.New(rand.NewPCG(seed, 1)), records: make(map[string]fleet.Record)}
}

// Calls counts the messages so far: questions, the records of lists, and changes that watches brought.
func (c *Cluster) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Clear empties the store, as a new one is.
func (c *Cluster) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rev, c.records = 0, make(map[string]fleet.Record)
	for _, h := range c.handles {
		h.known, h.old = 0, nil
	}
}

// Records is the content, sorted by key.
func (c *Cluster) Records() []fleet.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return listed(c.records, "")
}

func listed(records map[string]fleet.Record, prefix string) []fleet.Record {
	var list []fleet.Record
	for key, r := range records {
		if prefix == "" || key == prefix || strings.HasPrefix(key, prefix+".") {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b fleet.Record) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// chance draws whether something happens.
func (c *Cluster) chance(percent int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(100) < percent
}

func (c *Cluster) draw(limit time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rnd.Int64N(int64(limit)))
}

// Handle is a node's way to the store.
func (c *Cluster) Handle() *Handle {
	h := &Handle{c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, h)
	return h
}

// A Handle implements fleet.Store.
type Handle struct {
	c        *Cluster
	cut      bool // guarded by c.mu
	still    bool
	watchers []*watcher
	known    uint64 // the newest revision that the node has been told
	old      *past  // what the node is told, nil for the truth
}

// past holds the records of a leader that was cut off and has not yet heard of another one.
type past struct {
	rev     uint64
	records map[string]fleet.Record
	until   time.Time // zero while it is cut off
}

// oldMost is how long an old leader may still believe to be one when it is back.
const oldMost = 2 * time.Second

// stale is the old leader that answers in the place of the truth, nil for none.
func (h *Handle) stale() *past {
	if h.old == nil || h.old.until.IsZero() || time.Now().After(h.old.until) || h.c.rnd.IntN(3) == 0 {
		return nil
	}
	return h.old
}

type watcher struct {
	prefix string
	queue  chan fleet.Change
}

// Cut takes the node away from the store, or brings it back.
func (h *Handle) Cut(cut bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	switch {
	case cut && !h.cut:
		h.old = &past{rev: h.c.rev, records: maps.Clone(h.c.records)}
	case !cut && h.cut && h.old != nil && h.c.Faults.Load():
		h.old.until = time.Now().Add(time.Duration(h.c.rnd.Int64N(int64(oldMost))))
	}
	h.cut = cut
}

// Still lets the node's watches stand still, or go on: what happens meanwhile they never tell.
func (h *Handle) Still(still bool) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.still = still
}

func (h *Handle) isCut() bool {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.cut
}

// ask waits as long as a question takes, and reports whether it arrives.
func (h *Handle) ask(ctx context.Context) bool {
	d := time.Millisecond
	if h.c.Faults.Load() {
		if d = h.c.draw(4 * time.Millisecond); h.c.chance(2) {
			d = h.c.draw(3 * time.Second)
		}
	}
	_ = pause.For(ctx, d)
	h.c.mu.Lock()
	h.c.calls++
	h.c.mu.Unlock()
	return ctx.Err() == nil && !h.isCut()
}

// read asks a question that changes nothing. Sometimes the node is told at once that nobody answers, sometimes it waits. An old leader
// answers until the node knows something newer.
func (h *Handle) read(ctx context.Context, f func(now *past) error) error {
	if !h.ask(ctx) || h.c.Faults.Load() && h.c.chance(1) {
		if h.c.chance(50) {
			<-ctx.Done()
		}
		return fleet.ErrAway
	}
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	now := &past{rev: h.c.rev, records: h.c.records}
	if old := h.stale(); old != nil {
		if old.rev < h.known {
			return fleet.ErrAway
		}
		now = old
	}
	h.known = max(h.known, now.rev)
	return f(now)
}

// write asks for a change. Where the node is cut off it may land later; elsewhere its answer may be lost.
func (h *Handle) write(ctx context.Context, f func() (uint64, error)) (uint64, error) {
	locked := func() (uint64, error) {
		h.c.mu.Lock()
		defer h.c.mu.Unlock()
		return f()
	}
	answered := func() (uint64, error) {
		h.c.mu.Lock()
		defer h.c.mu.Unlock()
		if old := h.stale(); old != nil && old.rev < h.c.rev { // an old leader refuses what the new one may write
			if h.c.rnd.IntN(2) == 0 {
				_, _ = f()
			}
			return 0, fleet.ErrUnknown
		}
		rev, err := f()
		h.known = max(h.known, rev)
		return rev, err
	}
	switch {
	case !h.ask(ctx):
		if h.c.Faults.Load() && h.c.chance(50) {
			late := h.c.draw(20 * time.Second)
			go func() {
				time.Sleep(late)
				_, _ = locked()
			}()
			<-ctx.Done()
			return 0, fleet.ErrUnknown
		}
		return 0, fleet.ErrAway
	case h.c.Faults.Load() && h.c.chance(3):
		_, _ = locked()
		<-ctx.Done()
		return 0, fleet.ErrUnknown
	}
	return answered()
}

// Get implements fleet.Store.
func (h *Handle) Get(ctx context.Context, key string) (r fleet.Record, err error) {
	err = h.read(ctx, func(now *past) error {
		var ok bool
		if r, ok = now.records[key]; !ok {
			return fleet.ErrNotFound
		}
		return nil
	})
	return r, err
}

// List implements fleet.Store.
func (h *Handle) List(ctx context.Context, prefix string) (list []fleet.Record, err error) {
	err = h.read(ctx, func(now *past) error {
		list = listed(now.records, prefix)
		h.c.calls += len(list)
		return nil
	})
	return list, err
}

// Head implements fleet.Store.
func (h *Handle) Head(ctx context.Context) (rev uint64, err error) {
	err = h.read(ctx, func(now *past) error {
		rev = now.rev
		return nil
	})
	return rev, err
}

// Create implements fleet.Store.
func (h *Handle) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return h.write(ctx, func() (uint64, error) {
		if _, ok := h.c.records[key]; ok {
			return 0, fleet.ErrConflict
		}
		return h.c.put(fleet.Change{Record: fleet.Record{Key: key, Value: value}}), nil
	})
}

// Update implements fleet.Store.
func (h *Handle) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return h.write(ctx, func() (uint64, error) {
		return h.c.replace(fleet.Change{Record: fleet.Record{Key: key, Value: value}}, last)
	})
}

// Delete implements fleet.Store.
func (h *Handle) Delete(ctx context.Context, key string, last uint64) error {
	_, err := h.write(ctx, func() (uint64, error) {
		return h.c.replace(fleet.Change{Record: fleet.Record{Key: key}, Deleted: true}, last)
	})
	return err
}

// replace writes a change of the record that is at revision last.
func (c *Cluster) replace(ch fleet.Change, last uint64) (uint64, error) {
	if r, ok := c.records[ch.Key]; !ok || r.Revision != last {
		return 0, fleet.ErrConflict
	}
	return c.put(ch), nil
}

// put writes a change and tells the watches.
func (c *Cluster) put(ch fleet.Change) uint64 {
	c.rev++
	ch.Revision = c.rev
	if c.Trace != nil {
		c.Trace(ch)
	}
	if ch.Deleted {
		delete(c.records, ch.Key)
	} else {
		c.records[ch.Key] = ch.Record
	}
	for _, h := range c.handles {
		if h.cut || h.still || c.Faults.Load() && c.rnd.IntN(200) == 0 {
			continue
		}
		for _, w := range h.watchers {
			if w.prefix != "" && ch.Key != w.prefix && !strings.HasPrefix(ch.Key, w.prefix+".") {
				continue
			}
			select {
			case w.queue <- ch:
				c.calls++
			default: // a reader that falls behind loses changes
			}
		}
	}
	return c.rev
}

// Watch implements fleet.Store.
func (h *Handle) Watch(ctx context.Context, prefix string) <-chan fleet.Change {
	w := &watcher{prefix: prefix, queue: make(chan fleet.Change, 4096)}
	h.c.mu.Lock()
	h.watchers = append(h.watchers, w)
	h.still = false // a new watch goes on
	h.c.mu.Unlock()
	out := make(chan fleet.Change)
	go func() {
		defer close(out)
		defer func() {
			h.c.mu.Lock()
			defer h.c.mu.Unlock()
			h.watchers = slices.DeleteFunc(h.watchers, func(o *watcher) bool { return o == w })
		}()
		for {
			select {
			case c := <-w.queue:
				if h.c.Faults.Load() {
					_ = pause.For(ctx, h.c.draw(5*time.Millisecond))
				}
				h.told(c.Revision)
				select {
				case out <- c:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// told notes a revision that the node hears of.
func (h *Handle) told(rev uint64) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.known = max(h.known, rev)
}

var _ fleet.Store = (*Handle)(nil)
