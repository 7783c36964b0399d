package fleet

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A page's first lease is written at once, those that come within its time share the next write, and other pages do not wait for it.
func TestPagesGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPageWriter(newGeometry(0, 0))
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		type write struct {
			at     time.Duration
			page   int
			leases int
		}
		var got []write
		go w.run(ctx, func(_ context.Context, n int, list []*leaseWrite) {
			got = append(got, write{time.Since(began), n, len(list)})
			time.Sleep(time.Millisecond)
			for _, l := range list {
				l.done(nil)
			}
		})
		done := 0
		add := func(slot int) {
			w.add(&leaseWrite{slot: slot, done: func(err error) {
				if err == nil {
					done++
				}
			}})
			synctest.Wait()
		}
		add(0)
		for slot := 1; slot < pageSize; slot++ {
			add(slot)
		}
		add(pageSize)
		time.Sleep(5 * time.Millisecond)
		add(pageSize + 1)
		time.Sleep(time.Second)
		synctest.Wait()
		want := []write{{0, 0, 1}, {pace, 1, 1}, {gather, 0, pageSize - 1}, {pace + gather, 1, 1}}
		if !slices.Equal(got, want) {
			t.Errorf("writes %v, want %v", got, want)
		}
		if done != pageSize+2 {
			t.Errorf("%d leases have an outcome, want %d", done, pageSize+2)
		}
		stop()
	})
}

// Each lease that waits has an outcome when the writer ends, and each that comes later; one that is withdrawn has none.
func TestPagesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPageWriter(newGeometry(0, 0))
		var outcomes []error
		note := func(err error) { outcomes = append(outcomes, err) }
		a, b := &leaseWrite{slot: 1, done: note}, &leaseWrite{slot: 2, done: note}
		w.add(a)
		w.add(b)
		if !w.withdraw(b) || w.withdraw(b) {
			t.Error("a lease that waits can be withdrawn once")
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		w.run(ctx, func(context.Context, int, []*leaseWrite) { t.Error("written after the end") })
		w.add(b)
		synctest.Wait()
		if len(outcomes) != 2 || !errors.Is(outcomes[0], ErrAway) || !errors.Is(outcomes[1], ErrAway) {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}
