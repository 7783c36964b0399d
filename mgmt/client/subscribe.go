package client

import (
	"context"
	"sync"
)

// DefaultQueue is the room of a subscription when none is asked for.
const DefaultQueue = 4096

// Subscription is a queue of notifications of some kinds. When it is full the oldest droppable one (log, echo, byte
// count) makes room, then the oldest at all; both are counted.
type Subscription struct {
	c     *Client
	kinds map[string]bool // nil: all
	wake  chan struct{}   // room for one; sent by push, received by Next

	mu struct {
		sync.Mutex
		drop, keep ring // two rings, in arrival order through item.seq
		seq        uint64
		limit      int
		dropped    uint64
		ended      bool
	}
}

// item is a queued notification with its place in the order of arrival.
type item struct {
	seq uint64
	n   Notification
}

// ring is a queue in a slice; popped items are given up to the collector at once.
type ring struct {
	items []item
	head  int
}

func (r *ring) len() int { return len(r.items) - r.head }

func (r *ring) push(it item) { r.items = append(r.items, it) }

func (r *ring) pop() item {
	it := r.items[r.head]
	r.items[r.head] = item{}
	r.head++
	switch {
	case r.head == len(r.items):
		r.items, r.head = r.items[:0], 0
	case r.head > 1024 && r.head > len(r.items)/2:
		n := copy(r.items, r.items[r.head:])
		clear(r.items[n:])
		r.items, r.head = r.items[:n], 0
	}
	return it
}

// Subscribe starts collecting notifications of the given kinds, all kinds when none is given. The first subscription
// of a connection also gets what came since the greeting: a pending hold or password prompt is announced there.
func (c *Client) Subscribe(kinds ...string) *Subscription {
	return c.SubscribeQueue(DefaultQueue, kinds...)
}

// SubscribeQueue is Subscribe with room for limit notifications.
func (c *Client) SubscribeQueue(limit int, kinds ...string) *Subscription {
	return c.SubscribeEach(1, limit, kinds...)[0]
}

// SubscribeEach returns n subscriptions that are all the first: each gets what came before.
func (c *Client) SubscribeEach(n, limit int, kinds ...string) []*Subscription {
	c.subs.Lock()
	defer c.subs.Unlock()
	all := make([]*Subscription, n)
	for i := range all {
		s := &Subscription{c: c, wake: make(chan struct{}, 1)}
		s.mu.limit = max(1, limit)
		for _, k := range kinds {
			if s.kinds == nil {
				s.kinds = make(map[string]bool)
			}
			s.kinds[k] = true
		}
		for _, n := range c.subs.backlog {
			s.push(n)
		}
		if c.subs.ended {
			s.end()
		} else {
			c.subs.list = append(c.subs.list, s)
		}
		all[i] = s
	}
	c.subs.backlog, c.subs.had = nil, true
	return all
}

// Next waits for a notification. After the connection ended it first hands out what is queued, then returns the
// connection's error. It returns ctx's error when ctx ends first.
func (s *Subscription) Next(ctx context.Context) (Notification, error) {
	for {
		n, ok, ended := s.take()
		if ok {
			return n, nil
		}
		if ended {
			return Notification{}, s.c.Err()
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Notification{}, ctx.Err()
		}
	}
}

// TryNext returns a queued notification without waiting.
func (s *Subscription) TryNext() (Notification, bool) {
	n, ok, _ := s.take()
	return n, ok
}

// Ready receives when TryNext may have something, or when the subscription ended. One reader at a time.
func (s *Subscription) Ready() <-chan struct{} { return s.wake }

// Ended reports whether nothing is queued and nothing will come.
func (s *Subscription) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.ended && s.mu.drop.len() == 0 && s.mu.keep.len() == 0
}

// Dropped counts notifications lost to a full queue.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.dropped
}

// Close ends the subscription; Next returns what is queued and then an error.
func (s *Subscription) Close() {
	s.c.subs.Lock()
	defer s.c.subs.Unlock()
	for i, x := range s.c.subs.list {
		if x == s {
			s.c.subs.list = append(s.c.subs.list[:i:i], s.c.subs.list[i+1:]...)
			break
		}
	}
	s.end()
}

func (s *Subscription) take() (n Notification, ok, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, k := &s.mu.drop, &s.mu.keep
	switch {
	case d.len() > 0 && (k.len() == 0 || d.items[d.head].seq < k.items[k.head].seq):
		n, ok = d.pop().n, true
	case k.len() > 0:
		n, ok = k.pop().n, true
	}
	return n, ok, s.mu.ended
}

// push is called by the reader under subs.
func (s *Subscription) push(n Notification) {
	if s.kinds != nil && !s.kinds[n.Kind] {
		return
	}
	s.mu.Lock()
	if s.mu.drop.len()+s.mu.keep.len() >= s.mu.limit {
		s.mu.dropped++
		if s.mu.drop.len() > 0 {
			s.mu.drop.pop()
		} else {
			s.mu.keep.pop()
		}
	}
	s.mu.seq++
	if droppable(n) {
		s.mu.drop.push(item{s.mu.seq, n})
	} else {
		s.mu.keep.push(item{s.mu.seq, n})
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.mu.ended = true
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
