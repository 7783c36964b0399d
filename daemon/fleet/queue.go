package fleet

import (
	"context"
	"slices"
	"sync"
	"time"
)

// settlers is how many keys are settled at once.
const settlers = 4

// jobsMost is how many jobs wait at a time.
const jobsMost = 1024

// job is work that is no key's.
type job func(ctx context.Context) error

// queue holds the keys that are to be looked at. A key is worked on by one goroutine at a time.
type queue struct {
	mu      sync.Mutex
	waiting map[string]struct{}
	order   []string
	busy    map[string]struct{}
	again   map[string]struct{} // after a pause
	poke    chan struct{}
	jobs    []job
}

func newQueue() *queue {
	return &queue{
		waiting: make(map[string]struct{}), busy: make(map[string]struct{}), again: make(map[string]struct{}), poke: make(chan struct{}, settlers),
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
	q.wake()
}

// wake has one goroutine look for work.
func (q *queue) wake() {
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

// start has a job done, again until it succeeds, and reports whether there is room for it. A job that fails has waited a while.
func (q *queue) start(j job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) >= jobsMost {
		return false
	}
	q.jobs = append(q.jobs, j)
	q.wake()
	return true
}

// nextJob takes the job that has waited longest, nil for none.
func (q *queue) nextJob() (j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) > 0 {
		j, q.jobs = q.jobs[0], q.jobs[1:]
	}
	return j
}

// failed puts a job back.
func (q *queue) failed(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
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
		q.wake()
	}
}

// run settles keys until ctx ends.
func (q *queue) run(ctx context.Context, settle func(ctx context.Context, key string, done func(bool))) {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		for ctx.Err() == nil {
			key, ok := q.next()
			if !ok {
				break
			}
			settle(ctx, key, func(ok bool) { q.done(key, ok) })
		}
		if j := q.nextJob(); j != nil && ctx.Err() == nil {
			if j(ctx) != nil {
				q.failed(j)
			}
			continue
		}
		select {
		case <-q.poke:
		case <-again.C:
			q.retry()
		case <-ctx.Done():
			return
		}
	}
}
