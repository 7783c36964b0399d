package script

import (
	"container/heap"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// timer is one moongate.after or moongate.every.
type timer struct {
	at    time.Time
	every time.Duration // 0: once
	fn    *lua.LFunction
	index int // in the heap, -1 outside
	off   bool
	what  string
}

// timerHeap has the next due timer first.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are heap.Interface.
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop removes the last element.
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*h = old[:len(old)-1]
	return t
}

const (
	minPeriod = time.Millisecond
	maxTimers = 10_000
	idleWait  = time.Hour
)

// runTimers calls what is due and returns how long until the next. A periodic timer is set anew after its call: a slow run
// delays the next and never overlaps it.
func (r *runtime) runTimers() time.Duration {
	for r.timers.Len() > 0 {
		t := r.timers[0]
		if d := time.Until(t.at); d > 0 {
			return d
		}
		heap.Pop(&r.timers)
		if err := r.call(&t.what, t.fn, 0); err != nil {
			r.report(t.what, err)
		}
		if t.every > 0 && !t.off {
			t.at = time.Now().Add(t.every)
			heap.Push(&r.timers, t)
		}
		if r.stopped || r.sub.Ended() {
			return 0
		}
	}
	return idleWait
}

// addTimer reads (seconds, function) and returns the timer's handle.
func (r *runtime) addTimer(L *lua.LState, periodic bool) int {
	seconds := float64(L.CheckNumber(1))
	fn := L.CheckFunction(2)
	if !(seconds >= 0 && seconds < 1e9) {
		L.ArgError(1, "seconds must be a number from 0 on")
	}
	if r.timers.Len() >= maxTimers {
		L.RaiseError("too many timers")
	}
	d := max(time.Duration(seconds*float64(time.Second)), minPeriod)
	t := &timer{at: time.Now().Add(d), fn: fn, what: "timer"}
	if periodic {
		t.every = d
	}
	heap.Push(&r.timers, t)
	L.Push(r.handle(L, "stop", func() {
		t.off = true
		if t.index >= 0 {
			heap.Remove(&r.timers, t.index)
		}
	}))
	return 1
}
