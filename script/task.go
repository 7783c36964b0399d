package script

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// A task is a coroutine at work: the calls of one event's handlers, of a timer, or the main chunk.
//
//	event ─► line of its subject ─► task: handler, handler, … ─► next event of the line
//	                                  │ asks (sleep, send, …): parked
//	                                  └◄ answer, or the end of its time
//
// Events about one subject stay in order: one task of a subject runs at a time. Tasks of different subjects take turns whenever
// they ask for something.
type task struct {
	what     string
	row      []*handler // still to call
	event    lua.LValue
	fn       *lua.LFunction   // for timers and the main chunk
	finish   func()           // called at the end
	failed   func(*Error)     // gets the error of fn, instead of the log
	result   func(lua.LValue) // gets what fn returned
	line     *line
	subject  subject
	co       *lua.LState
	limit    time.Duration
	deadline time.Time
	began    time.Time // the call of a handler; zero outside of one
	asked    *request  // what it waits for, nil while it runs
	seen     uint64    // events before this number came before its last command, or its last wait
	timeout  *timer    // ends it at its deadline, made when it first asks

	login      login // that the event asks about, if any
	failedCall bool  // a handler of the row ended with an error
}

// tasking holds the tasks of a script, and the events that wait for one.
type tasking struct {
	current *task
	busy    map[subject]*line
	early   []subject // of lines that began while no event was let in, in order of arrival
	backlog int       // events in lines
	tasks   int       // alive, the main chunk included
	idle    []*lua.LState
	seq     uint64           // events so far
	recent  []*lua.LUserData // the newest of them, for wait_for; empty while no task is alive
	closed  bool             // no event is begun: the main chunk has not ended, or the script is draining
}

// subject names the thing that events are about.
type subject struct {
	name string
	cid  uint64
}

// line are the events of one subject that wait, behind the one that runs.
type line struct {
	queue   []queued
	running *task
}

type queued struct {
	name  string
	event lua.LValue
}

const (
	maxTasks = 1000 // at once
	maxIdle  = 16   // coroutines kept for the next tasks
)

// request is something a task waits for.
type request struct {
	command bool          // what the daemon tells after it may belong to it: wait_for looks back to it
	start   func(t *task) // begins it; the answer comes by resume
	cancel  func()        // ends the work for it, nil: nothing to end
}

// subjectOf is the client or the prompt that a notification is about, else its kind.
func subjectOf(name string, n wire.Notification) subject {
	switch n.Kind {
	case mgmt.KindClient:
		_, rest, _ := strings.Cut(n.Text, ",")
		return clientSubject(rest)
	case mgmt.KindByteCountClient:
		return clientSubject(n.Text)
	case mgmt.KindPassword, mgmt.KindNeedOK, mgmt.KindNeedStr:
		if _, rest, ok := strings.Cut(n.Text, "'"); ok {
			typ, _, _ := strings.Cut(rest, "'")
			return subject{name: n.Kind + " " + typ}
		}
	}
	return subject{name: name}
}

func clientSubject(text string) subject {
	id, _, _ := strings.Cut(text, ",")
	cid, _ := strconv.ParseUint(id, 10, 64)
	return subject{name: "client", cid: cid}
}

// begin calls the handlers of an event, now or when the events about the same subject that came before are done with.
func (r *runtime) begin(s subject, name string, ev lua.LValue) {
	l := r.busy[s]
	if l == nil && !r.closed {
		r.start(&task{what: name, row: r.row(name), event: ev, subject: s})
		return
	}
	if l == nil {
		l = &line{}
		r.busy[s] = l
		r.early = append(r.early, s)
	}
	l.queue = append(l.queue, queued{name, ev})
	r.backlog++
}

// row are the handlers of an event in the order they are called.
func (r *runtime) row(name string) []*handler {
	own, all := r.handlers[name], r.handlers["*"]
	if len(all) == 0 {
		return own
	}
	return append(append(make([]*handler, 0, len(own)+len(all)), own...), all...)
}

// advance begins the next event of a line, or drops the line.
func (r *runtime) advance(s subject, l *line) {
	for len(l.queue) > 0 && l.running == nil && !r.closed && !r.stopped && r.fatal == nil {
		q := l.queue[0]
		l.queue[0] = queued{}
		l.queue = l.queue[1:]
		r.backlog--
		r.start(&task{what: q.name, row: r.row(q.name), event: q.event, subject: s, line: l})
	}
	if len(l.queue) == 0 && l.running == nil {
		delete(r.busy, s)
	}
}

// startMain begins the main chunk.
func (r *runtime) startMain(fn *lua.LFunction) {
	r.stats.State = mgmt.ScriptStarting
	t := &task{what: "main chunk", fn: fn, limit: r.o.HandlerTimeout}
	r.start(t)
}

// mainEnded is the end of the main chunk: the script is proven.
func (r *runtime) mainEnded(e *Error) {
	if r.stopped {
		return
	}
	if e != nil {
		r.fatal = e
		if r.base.Err() != nil {
			r.fatal = r.base.Err()
		}
		return
	}
	r.stats.State = mgmt.ScriptReady
	r.stats.publish(r) // before ready: the caller that waits for that may read it
	if r.o.control.ready != nil {
		r.o.control.ready()
	}
	if r.o.control.begin == nil { // or was closed already
		r.open(r.o.control.keep == nil || *r.o.control.keep)
	}
	r.emit("connected")
}

// start runs a task until it asks for something or ends.
func (r *runtime) start(t *task) {
	r.tasks++
	t.seen = r.seq
	if t.fn != nil {
		r.call(t, t.fn)
		return
	}
	r.asksFor(t)
	r.nextHandler(t)
}

// nextHandler calls what is left of the row.
func (r *runtime) nextHandler(t *task) {
	for {
		if !t.began.IsZero() {
			r.stats.Took.Observe(time.Since(t.began))
			t.began = time.Time{}
		}
		if len(t.row) == 0 || r.stopped || r.fatal != nil {
			break
		}
		h := t.row[0]
		t.row = t.row[1:]
		if h.off {
			continue
		}
		t.what, t.limit, t.deadline, t.began = h.event, h.limit, time.Time{}, time.Now()
		if r.call(t, h.fn) {
			return // it waits, or is over
		}
	}
	r.over(t)
}

// over is the end of a task.
func (r *runtime) over(t *task) {
	if r.tasks--; r.tasks == 0 {
		r.recent = r.recent[:0]
	}
	r.unschedule(t.timeout)
	t.timeout = nil
	if t.finish != nil {
		t.finish()
	}
	r.refuseUnanswered(t)
	if l := t.line; l != nil {
		l.running = nil
		r.advance(t.subject, l)
	}
}

// call begins a call in a coroutine. It reports whether the task is parked or over; else the next handler is due.
func (r *runtime) call(t *task, fn *lua.LFunction) bool {
	if n := len(r.idle); n > 0 {
		t.co, r.idle[n-1] = r.idle[n-1], nil // nothing else keeps a coroutine that dies
		r.idle = r.idle[:n-1]
	} else {
		t.co = r.L.NewWorker()
	}
	arg := t.event
	if arg == nil {
		arg = lua.LNil
	}
	return r.run1(t, fn, arg)
}

// run1 resumes the coroutine of t and deals with how it comes back.
func (r *runtime) run1(t *task, args ...lua.LValue) bool {
	before := r.current
	r.current, t.asked = t, nil
	r.L.Meter.Begin()
	state, err, values := r.L.Resume(t.co, r.L.Worker(), args...)
	r.L.Meter.End()
	r.current = before
	switch {
	case state == lua.ResumeYield && values[0] == r.L.Done:
		r.keep(t.co)
		t.co = nil
		if t.fn != nil {
			if t.result != nil {
				t.result(append(values, lua.LNil)[1])
			}
			r.ended(t, nil)
			return true
		}
		if len(values) > 1 && values[1] == lua.LFalse {
			t.row = nil // false ends the row
		}
		return false
	case state == lua.ResumeYield && values[0] == r.L.Wait && len(values) == 2:
		r.park(t, values[1].(*lua.LUserData).Value.(*request))
		return true
	case state == lua.ResumeYield:
		err = errors.New("attempt to yield from outside a coroutine")
	}
	e := r.scriptError(err, t.co)
	t.co = nil
	if errors.Is(r.L.Meter.Err(), sandbox.ErrMemory) && r.L.Meter.Over() {
		e.Text += ", and the script keeps it: it is ended"
		r.fatal = e
	}
	if t.fn != nil {
		r.ended(t, e)
		return true
	}
	t.failedCall = true
	r.report(t.what, e)
	return false
}

// ended is the end of a timer's call or the main chunk.
func (r *runtime) ended(t *task, e *Error) {
	switch {
	case t.what == "main chunk":
		r.mainEnded(e)
	case e != nil && t.failed != nil:
		t.failed(e)
	case e != nil:
		r.report(t.what, e)
	}
	r.over(t)
}

func (r *runtime) keep(co *lua.LState) {
	if len(r.idle) < maxIdle {
		r.idle = append(r.idle, co)
	}
}

// park begins what a task asked for.
func (r *runtime) park(t *task, q *request) {
	if t.line == nil && t.fn == nil { // until now nobody had to know that its subject is busy
		l := r.busy[t.subject]
		if l == nil {
			l = &line{}
			r.busy[t.subject] = l
		}
		t.line = l
	}
	if t.line != nil {
		t.line.running = t
	}
	if t.deadline.IsZero() {
		t.deadline = r.now().Add(t.limit)
		t.timeout = r.schedule(t.deadline, func() { r.expire(t) })
	}
	t.asked = q
	if q.command {
		t.seen = r.seq
	}
	q.start(t)
}

// resume gives a parked task its answer. An answer that comes too late is dropped.
func (r *runtime) resume(t *task, q *request, values ...lua.LValue) {
	if t.asked != q || r.stopped || r.fatal != nil {
		return
	}
	if !q.command {
		t.seen = r.seq
	}
	if !r.run1(t, values...) {
		r.unschedule(t.timeout)
		t.timeout = nil
		r.nextHandler(t)
	}
}

// expire ends a task whose time is over.
func (r *runtime) expire(t *task) {
	if t.asked == nil {
		return
	}
	if t.asked.cancel != nil {
		t.asked.cancel()
	}
	t.asked = nil
	e := withPath(scriptError(filepath.Base(r.path), nil, fmt.Errorf("%w (%v)", ErrDeadline, t.limit), t.co), r.path)
	t.co, t.timeout = nil, nil
	if t.fn != nil {
		r.ended(t, e)
		return
	}
	t.failedCall = true
	r.report(t.what, e)
	r.nextHandler(t)
}

// maxHeld is how many bytes may wait with commands, programs and requests.
const maxHeld = 16 << 20

// await makes the running task wait for work, which is done in a goroutine of its own under a context that ends with the task's
// time. What work returns is called by the script's goroutine and gives the values for the script.
//
// size is how many bytes wait with it: the meter of a process that does other things, too, does not see them.
func (r *runtime) await(L *lua.LState, command bool, size int, work func(ctx context.Context) func() []lua.LValue) int {
	if r.held > 0 && r.held+size > maxHeld {
		L.RaiseError("too much is under way: %d bytes of this script wait", r.held)
	}
	q := &request{command: command}
	q.start = func(t *task) {
		r.held += size
		ctx, cancel := context.WithCancel(r.base)
		q.cancel = cancel
		r.underWay++
		r.ops.Go(func() {
			answer := work(ctx)
			r.post(func() {
				r.underWay--
				r.held -= size
				cancel()
				if t.asked == q {
					r.resume(t, q, answer()...)
				}
			})
		})
	}
	return r.L.Ask(L, q)
}
