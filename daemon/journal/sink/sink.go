// Package sink hands events of a journal on to other places: syslog, a web service, and a subject of NATS. A sink has a bounded queue and a goroutine of its
// own, so none of them holds up a daemon, and a place that is away costs events and nothing else.
package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Limits of a sink.
const (
	queueMost = 8192
	batchMost = 100
	batchWait = time.Second     // after the first event of a batch
	lastWait  = 2 * time.Second // for what is left at the end
)

// place takes batches of events, and tells how many of a batch it took. What it did not take is offered again, with the same id, unless the
// error is a *neverError.
type place interface {
	put(ctx context.Context, id string, batch []journal.Event) (taken int, err error)
}

// neverError is an answer that offering the same again will not change.
type neverError struct{ error }

// Sink is a queue in front of a place. Record may be called from any goroutine; a nil Sink takes nothing.
type Sink struct {
	name    string
	to      place
	log     func(format string, args ...any)
	queue   chan journal.Event
	dropped atomic.Uint64
	stop    context.CancelFunc // no more waiting
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
	failing bool // the goroutine's
	pauses  pauses
}

// pauses are the times between two attempts.
type pauses struct{ first, last time.Duration }

func newSink(name string, to place, log func(format string, args ...any), p pauses) *Sink {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sink{
		name: name, to: to, log: log, queue: make(chan journal.Event, queueMost), stop: stop, closing: make(chan struct{}), done: make(chan struct{}), pauses: p,
	}
	go s.run(ctx)
	return s
}

// Name is the sink in logs and metrics.
func (s *Sink) Name() string { return s.name }

// Record takes an event, and never waits: with the queue full it is dropped and counted.
func (s *Sink) Record(e journal.Event) {
	if s == nil {
		return
	}
	select {
	case s.queue <- e:
	default:
		s.dropped.Add(1)
	}
}

// Dropped is how many events are lost.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Close hands on what waits, for a moment, and ends.
func (s *Sink) Close() {
	if s == nil {
		return
	}
	s.once.Do(func() {
		close(s.closing)
		time.AfterFunc(lastWait, s.stop)
	})
	select {
	case <-s.done:
	case <-time.After(lastWait + time.Second): // a write that nothing ends
	}
}

func (s *Sink) run(ctx context.Context) {
	defer close(s.done)
	defer s.stop()
	if c, ok := s.to.(io.Closer); ok {
		defer c.Close() //nolint:errcheck // nothing waits any more
	}
	for {
		var batch []journal.Event
		select {
		case e := <-s.queue:
			batch = s.gather(e)
		case <-s.closing:
			if batch = s.gather(); len(batch) == 0 {
				return
			}
		}
		s.deliver(ctx, batch)
		if ctx.Err() != nil {
			s.dropped.Add(uint64(len(s.queue))) //nolint:gosec // not negative
			return
		}
	}
}

// gather makes a batch: what comes within a moment, but no more than fits.
func (s *Sink) gather(batch ...journal.Event) []journal.Event {
	wait := time.NewTimer(batchWait)
	defer wait.Stop()
	for len(batch) < batchMost {
		select {
		case e := <-s.queue:
			batch = append(batch, e)
		case <-wait.C:
			return batch
		case <-s.closing:
			for len(s.queue) > 0 && len(batch) < batchMost {
				batch = append(batch, <-s.queue)
			}
			return batch
		}
	}
	return batch
}

// deliver offers a batch until the place takes it, says that it never will, or the daemon ends.
func (s *Sink) deliver(ctx context.Context, batch []journal.Event) {
	id := rand.Text()
	for pause := s.pauses.first; ; pause = min(2*pause, s.pauses.last) {
		taken, err := s.to.put(ctx, id, batch)
		batch = batch[taken:]
		if err == nil {
			if s.failing {
				s.log("journal: %s takes events again, %d are lost", s.name, s.Dropped())
			}
			s.failing = false
			return
		}
		if !s.failing {
			s.log("journal: %s does not take events: %v", s.name, err)
		}
		s.failing = true
		var never *neverError
		if errors.As(err, &never) || ctx.Err() != nil {
			s.dropped.Add(uint64(len(batch)))
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			s.dropped.Add(uint64(len(batch)))
			return
		}
	}
}
