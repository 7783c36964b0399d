package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A client with many scripts delays another one by no more than its own share, and gets its own turn after it.
func TestSlotsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(slotsPerClient)
		var mu sync.Mutex // guards order
		var order []uint64
		var all sync.WaitGroup
		run := func(client uint64) {
			all.Go(func() {
				if err := s.take(t.Context(), client); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, client)
				mu.Unlock()
				time.Sleep(time.Second)
				s.give(client)
			})
			synctest.Wait()
		}
		for range 5 {
			run(1)
		}
		for _, client := range []uint64{2, 3, 2} {
			run(client)
		}
		all.Wait()
		// The first client's two run; then each of those that wait has a turn.
		if want := []uint64{1, 1, 1, 2, 3, 1, 2, 1}; !slices.Equal(sorted2(order), sorted2(want)) {
			t.Errorf("ran for %v, want %v in pairs", order, want)
		}
	})
}

// sorted2 sorts each pair of those that start at once.
func sorted2(list []uint64) []uint64 {
	list = slices.Clone(list)
	for n := 0; n+1 < len(list); n += 2 {
		slices.Sort(list[n : n+2])
	}
	return list
}

// One client never holds more than its share, though nobody else wants one.
func TestSlotsOfOneClient(t *testing.T) {
	s := newSlots(8)
	for range slotsPerClient {
		if err := s.take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more: %v", err)
	}
	for range 6 { // work of no client takes what there is
		if err := s.take(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.taken(); n != 8 {
		t.Errorf("%d are taken", n)
	}
}

// Whatever comes, waits, gives up and ends: no slot is lost, none is given twice, and nobody waits for one that is free for it.
func TestSlotsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 4).Draw(t, "size")
		s := newSlots(size)
		type waiter struct {
			client uint64
			cancel context.CancelFunc
			done   chan error
		}
		var running, waiting []waiter
		settle := func() {
			for range 200 {
				time.Sleep(10 * time.Microsecond)
				waiting = slices.DeleteFunc(waiting, func(w waiter) bool {
					select {
					case err := <-w.done:
						if err == nil {
							running = append(running, w)
						}
						return true
					default:
						return false
					}
				})
				if s.taken() == len(running) {
					return
				}
			}
			t.Fatalf("%d taken, %d run", s.taken(), len(running))
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"take", "give", "cancel"}).Draw(t, "step") {
			case "take":
				ctx, cancel := context.WithCancel(context.Background())
				w := waiter{rapid.Uint64Range(0, 3).Draw(t, "client"), cancel, make(chan error, 1)}
				go func() { w.done <- s.take(ctx, w.client) }()
				waiting = append(waiting, w)
			case "give":
				if len(running) > 0 {
					s.give(running[0].client)
					running[0].cancel()
					running = running[1:]
				}
			case "cancel":
				if len(waiting) > 0 {
					waiting[0].cancel()
				}
			}
			settle()
			if len(running) > size {
				t.Fatalf("%d run, there are %d", len(running), size)
			}
		}
		for _, w := range waiting {
			w.cancel()
		}
		for len(running) > 0 || len(waiting) > 0 {
			if len(running) > 0 {
				s.give(running[0].client)
				running[0].cancel()
				running = running[1:]
			}
			settle()
		}
		if s.taken() != 0 || len(s.waiting) != 0 || len(s.turn) != 0 || len(s.held) != 0 {
			t.Fatalf("left behind: %+v", s)
		}
	})
}
