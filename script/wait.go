package script

import (
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/meta"
)

// waiter is a wait_for.
type waiter struct {
	event  string
	filter *lua.LTable // nil: every event of the name
	found  func(ev lua.LValue)
}

const maxWaiters = 1000

// seconds reads an argument in seconds.
func seconds(L *lua.LState, arg int) time.Duration {
	s := float64(L.CheckNumber(arg))
	if !(s >= 0 && s < 1e9) {
		L.ArgError(arg, "seconds must be a number from 0 on")
	}
	return time.Duration(s * float64(time.Second))
}

// inTime raises when the running task cannot wait so long.
func (r *runtime) inTime(L *lua.LState, arg int, d time.Duration) {
	t := r.current
	if t == nil {
		return
	}
	left := t.limit
	if !t.deadline.IsZero() {
		left = t.deadline.Sub(r.now())
	}
	if d > left {
		L.ArgError(arg, fmt.Sprintf("%v is longer than the %v that are left to this %s; moongate.on(…, {timeout = …}) or --handler-timeout gives more",
			d, left.Round(time.Second/10), kindOf(t)))
	}
}

func kindOf(t *task) string {
	if t.fn == nil {
		return "handler"
	}
	return t.what
}

// sleep is moongate.sleep(seconds).
func (r *runtime) sleep(L *lua.LState) int {
	d := seconds(L, 1)
	r.inTime(L, 1, d)
	q := &request{}
	q.start = func(t *task) {
		tm := r.schedule(r.now().Add(d), func() { r.resume(t, q) })
		q.cancel = func() { r.unschedule(tm) }
	}
	return r.L.Ask(L, q)
}

// waitFor is moongate.wait_for(event, filter, timeout): the next such event, or nil and "timeout".
func (r *runtime) waitFor(L *lua.LState) int {
	event := checkEventName(L, 1)
	var filter *lua.LTable
	if t := L.OptTable(2, nil); t != nil {
		filter = L.NewTable()
		for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
			if name := k.String(); !slices.Contains(meta.Fields(), name) {
				L.ArgError(2, noField(name))
			}
			filter.RawSet(k, v)
		}
	}
	d := seconds(L, 3)
	r.inTime(L, 3, d)
	if len(r.waiters) >= maxWaiters {
		L.RaiseError("too many calls of wait_for at once")
	}
	r.stream(L, event, 1)
	q := &request{}
	q.start = func(t *task) {
		w := &waiter{event: event, filter: filter} // a copy: the script may change its own
		var tm *timer
		drop := func() {
			r.unschedule(tm)
			for i, x := range r.waiters {
				if x == w {
					r.waiters = append(r.waiters[:i:i], r.waiters[i+1:]...)
					return
				}
			}
		}
		w.found = func(ev lua.LValue) { drop(); r.resume(t, q, ev) }
		tm = r.schedule(r.now().Add(d), func() { drop(); r.resume(t, q, lua.LNil, lua.LString("timeout")) })
		q.cancel = drop
		if ev := r.lookBack(t, w); ev != nil { // soon, as every answer: not inside of park
			r.unschedule(tm)
			tm = r.schedule(r.now(), func() { w.found(ev) })
			return
		}
		r.waiters = append(r.waiters, w)
	}
	return r.L.Ask(L, q)
}

// maxRecent is how many events wait_for looks back at most.
const maxRecent = 256

// lookBack finds an event that came between the task's last command and now: the daemon may be faster than the script.
func (r *runtime) lookBack(t *task, w *waiter) lua.LValue {
	first := r.seq - uint64(len(r.recent))
	for i, ev := range r.recent {
		if first+uint64(i) >= t.seen && w.wants(r, ev) {
			return ev
		}
	}
	return nil
}

func (w *waiter) wants(r *runtime, ev *lua.LUserData) bool {
	e := ev.Value.(*lib.Event)
	return (w.event == e.Name || w.event == "*") && r.matches(w.filter, e)
}

// offer gives an event to everyone who waits for it.
func (r *runtime) offer(ev *lua.LUserData) {
	if r.tasks > 0 {
		if len(r.recent) == maxRecent {
			r.recent = append(r.recent[:0], r.recent[maxRecent/2:]...)
		}
		r.recent = append(r.recent, ev)
	}
	var found []*waiter
	for _, w := range r.waiters {
		if w.wants(r, ev) {
			found = append(found, w)
		}
	}
	for _, w := range found {
		w.found(ev)
	}
}

// matches compares the fields that a filter names.
func (r *runtime) matches(filter *lua.LTable, ev *lib.Event) bool {
	if filter == nil {
		return true
	}
	same := true
	filter.ForEach(func(k, v lua.LValue) {
		name, ok := k.(lua.LString)
		same = same && ok && r.L.RawEqual(ev.Field(r.L.LState, string(name)), v)
	})
	return same
}
