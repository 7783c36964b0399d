package fleet

import (
	"context"
	"slices"
	"sync"
	"time"
)

// settlers is how many keys are settled at once.
const settlers = 4

// queue holds the keys that are to be looked at. A key is worked on by one goroutine at a time.
type queue struct {
	mu      sync.Mutex
	waiting map[string]struct{}
	order   []string
	busy    map[string]struct{}
	again   map[string]struct{} // after a pause
	poke    chan struct{}
	jobs    chan func(context.Context) error
}

func newQueue() *queue {
	return &queue{
		waiting: make(map[string]struct{}), busy: make(map[string]struct{}), again: make(map[string]struct{}), poke: make(chan struct{}, settlers),
		jobs: make(chan func(context.Context) error, 4),
	}
}

// add has a key looked at soon.
func (q *queue) add(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(key)
}

func (q *queue) put(key string) {
	delete(q.again, key)
	if _, ok := q.waiting[key]; ok {
		return
	}
	q.waiting[key] = struct{}{}
	q.order = append(q.order, key)
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// retry has all keys looked at that failed before.
func (q *queue) retry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key := range q.again {
		q.put(key)
	}
}

// start has a job done that is no key's. It is tried again until it succeeds or the queue has enough.
func (q *queue) start(job func(context.Context) error) {
	select {
	case q.jobs <- job:
	default:
	}
}

// next takes a key that nobody works on.
func (q *queue) next() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, key := range q.order {
		if _, ok := q.busy[key]; ok {
			continue
		}
		if n == 0 {
			q.order = q.order[1:]
		} else {
			q.order = slices.Delete(q.order, n, n+1)
		}
		delete(q.waiting, key)
		q.busy[key] = struct{}{}
		return key, true
	}
	return "", false
}

// done ends the work on a key.
func (q *queue) done(key string, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, key)
	if _, waits := q.waiting[key]; !ok && !waits {
		q.again[key] = struct{}{}
	}
	if len(q.order) > 0 {
		select {
		case q.poke <- struct{}{}:
		default:
		}
	}
}

// run settles keys until ctx ends.
func (q *queue) run(ctx context.Context, settle func(ctx context.Context, key string) bool) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		for ctx.Err() == nil {
			key, ok := q.next()
			if !ok {
				break
			}
			q.done(key, settle(ctx, key))
		}
		select {
		case <-q.poke:
		case <-again.C:
			q.retry()
		case job := <-q.jobs:
			if err := job(ctx); err != nil && ctx.Err() == nil {
				q.start(job)
			}
		case <-ctx.Done():
			return
		}
	}
}
