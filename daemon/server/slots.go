package server

import (
	"context"
	"slices"
	"sync"
)

// slots bounds the scripts that run at once, and shares them out to clients in turn: a client has at most slotsPerClient of
// them, and each client that waits gets one before another gets a second. It is safe for concurrent use.
type slots struct {
	size int

	mu      sync.Mutex // guards all below
	free    int
	held    map[uint64]int
	waiting map[uint64][]chan struct{} // in their order; closed when the slot is theirs
	turn    []uint64                   // clients that wait, the next one first
}

// slotsPerClient is how many scripts of one client run at once: an answer to a challenge may be needed by the script that asked.
const slotsPerClient = 2

func newSlots(n int) *slots {
	return &slots{size: n, free: n, held: make(map[uint64]int), waiting: make(map[uint64][]chan struct{})}
}

// take waits for a slot for a client, 0 for work that is no client's, which has no bound of its own. After nil the caller owes give.
func (s *slots) take(ctx context.Context, client uint64) error {
	s.mu.Lock()
	if s.free > 0 && s.may(client) {
		s.grant(client)
		s.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	if len(s.waiting[client]) == 0 {
		s.turn = append(s.turn, client)
	}
	s.waiting[client] = append(s.waiting[client], mine)
	s.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-mine: // it came just now
		s.put(client)
	default:
		s.leave(client, slices.Index(s.waiting[client], mine))
	}
	return context.Cause(ctx)
}

// give returns a slot.
func (s *slots) give(client uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(client)
}

// taken is how many slots are in use.
func (s *slots) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free
}

func (s *slots) may(client uint64) bool { return client == 0 || s.held[client] < slotsPerClient }

func (s *slots) grant(client uint64) {
	s.free--
	s.held[client]++
}

// put takes a slot back and hands on what is free.
func (s *slots) put(client uint64) {
	s.free++
	if s.held[client]--; s.held[client] == 0 {
		delete(s.held, client)
	}
	for s.free > 0 {
		n := slices.IndexFunc(s.turn, s.may)
		if n < 0 {
			return
		}
		next := s.turn[n]
		close(s.waiting[next][0])
		s.grant(next)
		s.leave(next, 0)
	}
}

// leave takes one of a client's out of those that wait. What is left of them goes to the end of the line.
func (s *slots) leave(client uint64, at int) {
	s.waiting[client] = slices.Delete(s.waiting[client], at, at+1)
	n := slices.Index(s.turn, client)
	if len(s.waiting[client]) == 0 {
		delete(s.waiting, client)
		s.turn = slices.Delete(s.turn, n, n+1)
	} else if at == 0 {
		s.turn = append(slices.Delete(s.turn, n, n+1), client)
	}
}
