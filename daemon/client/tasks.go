package client

import (
	"context"
	"sync"
)

// tasks hold the work that other goroutines hand to the owner of an attempt, and the helpers beside it.
type tasks struct {
	results chan func()
	ctx     context.Context // of helpers; ended by run
	done    chan struct{}   // closed when run returns
	wg      sync.WaitGroup
}

func newTasks() tasks { return tasks{results: make(chan func(), 1), done: make(chan struct{})} }

// post hands f to the owner from another goroutine of the attempt.
func (t *tasks) post(f func()) {
	select {
	case t.results <- f:
	case <-t.ctx.Done():
	}
}

// order hands f to the owner from a goroutine that is none of the attempt's. It reports whether the owner takes it.
func (t *tasks) order(f func()) bool {
	select {
	case t.results <- f:
		return true
	case <-t.done:
		return false
	}
}

// help runs work beside the owner; what it returns is then run by the owner.
func (t *tasks) help(work func(ctx context.Context) func()) {
	t.wg.Go(func() {
		if f := work(t.ctx); f != nil {
			t.post(f)
		}
	})
}
