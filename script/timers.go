package script

import (
	"container/heap"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// timer is anything that is due at a time: moongate.after and every, sleeps, ends of waits.
type timer struct {
	at     time.Time
	fire   func()
	index  int  // in the heap, -1 outside
	script bool // set by after or every
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

// timing holds what is due.
type timing struct {
	timers   timerHeap
	periodic int // timers of after and every among them
}

const (
	minPeriod = time.Millisecond
	maxTimers = 10_000 // of after and every
	idleWait  = time.Hour
)

// now is the time by the script's clock.
func (r *runtime) now() time.Time {
	if r.o.Clock != nil {
		return r.o.Clock()
	}
	return time.Now()
}

func (r *runtime) schedule(at time.Time, fire func()) *timer {
	t := &timer{at: at, fire: fire}
	heap.Push(&r.timers, t)
	return t
}

// unschedule takes a timer out of the heap; nil and timers that fired are fine.
func (r *runtime) unschedule(t *timer) {
	if t == nil || t.index < 0 {
		return
	}
	heap.Remove(&r.timers, t.index)
	if t.script {
		r.periodic--
	}
}

// dropTimers takes the timers of after and every out.
func (r *runtime) dropTimers() {
	for _, t := range append(timerHeap(nil), r.timers...) {
		if t.script {
			r.unschedule(t)
		}
	}
}

// timerDue reports whether a timer is due.
func (r *runtime) timerDue() bool {
	return r.timers.Len() > 0 && !r.timers[0].at.After(r.now())
}

// runTimers calls what is due and returns how long until the next.
func (r *runtime) runTimers() time.Duration {
	for range 256 { // then look at the events
		if r.timers.Len() == 0 {
			return idleWait
		}
		t := r.timers[0]
		if d := t.at.Sub(r.now()); d > 0 {
			return d
		}
		r.unschedule(t)
		t.fire()
		if r.stopped || r.fatal != nil {
			return 0
		}
	}
	return 0
}

// addTimer reads (seconds, function) and returns the timer's handle. A periodic timer is set anew after its call: a slow run
// delays the next and never overlaps it.
func (r *runtime) addTimer(L *lua.LState, periodic bool) int {
	d := max(seconds(L, 1), minPeriod)
	fn := L.CheckFunction(2)
	if r.periodic >= maxTimers {
		L.RaiseError("too many timers")
	}
	if r.draining {
		L.RaiseError("the script is about to end")
	}
	t := &timer{at: r.now().Add(d), script: true}
	off := false
	push := func() {
		r.periodic++
		heap.Push(&r.timers, t)
	}
	t.fire = func() {
		if r.tasks >= maxTasks { // they make room when they end
			t.at = r.now().Add(10 * time.Millisecond)
			push()
			return
		}
		r.start(&task{what: "timer", fn: fn, limit: r.o.HandlerTimeout, finish: func() {
			if periodic && !off && !r.draining && !r.stopped {
				t.at = r.now().Add(d)
				push()
			}
		}})
	}
	push()
	L.Push(r.handle(L, "stop", func() {
		off = true
		r.unschedule(t)
	}))
	return 1
}
