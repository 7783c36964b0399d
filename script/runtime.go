package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/wire"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// runtime is one script. Everything but the watch group belongs to the goroutine of run.
type runtime struct {
	path string
	o    Options
	log  *slog.Logger
	L    *lua.LState
	c    *client.Client // the session, nil between two
	sub  *client.Subscription

	handlers  map[string][]*handler // by event name, in order of registration
	live      int                   // handlers that are on
	timers    timerHeap
	streams   map[string]string // commands that switch real-time streams on, by event name
	eventMeta *lua.LTable
	loaded    map[string]lua.LValue // require

	stopped  bool
	exitCode int
	dropped  uint64 // told so far

	watch struct { // the watchdog
		busySince atomic.Int64 // unix nanoseconds, 0 when no Lua code runs
		what      atomic.Pointer[string]
		cancel    atomic.Pointer[context.CancelCauseFunc]
		stop      chan struct{}
		done      sync.WaitGroup
	}
	base context.Context // of run; a cancelled handler context is replaced by a child of it
	cur  context.Context
}

// handler is one moongate.on.
type handler struct {
	event string
	fn    *lua.LFunction
	off   bool
}

func newRuntime(ctx context.Context, path string, o Options) (*runtime, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	r := &runtime{
		path: path, o: o, log: o.Log.With("script", filepath.Base(path)), L: sandbox.NewState(),
		handlers: make(map[string][]*handler), streams: make(map[string]string), loaded: make(map[string]lua.LValue), base: ctx,
	}
	r.renewContext()
	r.install(append([]string{dir}, o.ReadDirs...))
	r.watch.stop = make(chan struct{})
	r.watch.done.Add(1)
	go r.watchdog()
	return r, nil
}

func (r *runtime) close() {
	close(r.watch.stop)
	r.watch.done.Wait()
	(*r.watch.cancel.Load())(nil)
	r.L.Close()
}

// renewContext gives the state a context that the watchdog can cancel alone.
func (r *runtime) renewContext() {
	ctx, cancel := context.WithCancelCause(r.base)
	r.watch.cancel.Store(&cancel)
	r.cur = ctx
	r.L.SetContext(ctx)
}

// watchdog cancels what runs too long, and reports what does not end even then.
func (r *runtime) watchdog() {
	defer r.watch.done.Done()
	tick := time.NewTicker(max(r.o.HandlerTimeout/8, time.Millisecond))
	defer tick.Stop()
	var cancelled, reported int64
	for {
		select {
		case <-r.watch.stop:
			return
		case <-tick.C:
		}
		since := r.watch.busySince.Load()
		if since == 0 {
			continue
		}
		d := time.Duration(time.Now().UnixNano() - since)
		if d > r.o.HandlerTimeout && cancelled != since {
			cancelled = since
			(*r.watch.cancel.Load())(fmt.Errorf("%w (%v)", ErrDeadline, r.o.HandlerTimeout))
		}
		if d > 3*r.o.HandlerTimeout && reported != since {
			reported = since
			r.log.Error("handler is stuck and cannot be ended", "event", *r.watch.what.Load(), "for", d.Round(time.Millisecond))
		}
	}
}

// call runs fn under the handler deadline. what names it in errors; begin is the time it starts.
func (r *runtime) call(what *string, fn lua.LValue, nret int, args ...lua.LValue) error {
	r.watch.what.Store(what)
	r.watch.busySince.Store(time.Now().UnixNano())
	err := r.L.CallByParam(lua.P{Fn: fn, NRet: nret, Protect: true}, args...)
	r.watch.busySince.Store(0)
	if r.cur.Err() != nil {
		cause := context.Cause(r.cur)
		if r.base.Err() == nil {
			r.renewContext()
		}
		if err != nil {
			return withPath(scriptError(filepath.Base(r.path), err, cause), r.path)
		}
		return nil
	}
	if err != nil {
		return withPath(scriptError(filepath.Base(r.path), err, nil), r.path)
	}
	return nil
}

// run executes the main chunk and then serves sessions.
func (r *runtime) run(ctx context.Context, c *client.Client, proto *lua.FunctionProto) error {
	r.attach(c)
	var again *client.Client // dialed by us, nil at first
	defer func() {
		if again != nil {
			again.Close()
		}
	}()
	main := "main chunk"
	if err := r.call(&main, r.L.NewFunctionFromProto(proto), 0); err != nil && !r.stopped {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	r.emit("connected")
	for {
		err := r.serve(ctx)
		switch {
		case errors.Is(err, errStopped):
			if r.exitCode != 0 {
				return &ExitError{r.exitCode}
			}
			return nil
		case !errors.Is(err, client.ErrLost) || ctx.Err() != nil:
			return err
		}
		r.c = nil
		if again != nil {
			again.Close()
			again = nil
		}
		r.emit("lost")
		if r.o.Redial == nil || r.stopped {
			return err
		}
		r.log.Warn("session lost, dialing again", "err", err)
		if again, err = r.o.Redial(ctx); err != nil {
			return err
		}
		r.attach(again)
		for _, cmd := range r.streams {
			if _, err := again.Cmd(ctx, cmd); err != nil {
				r.log.Warn("stream not switched on", "command", cmd, "err", err)
			}
		}
		r.emit("connected")
	}
}

func (r *runtime) attach(c *client.Client) {
	r.c, r.sub, r.dropped = c, c.SubscribeQueue(r.o.Queue), 0
}

// serve hands out events and timers until the session or the script ends.
func (r *runtime) serve(ctx context.Context) error {
	defer r.sub.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		drained := false
		for range 256 { // then look at the timers
			n, ok := r.sub.TryNext()
			if !ok {
				drained = true
				break
			}
			r.dispatch(n)
			if r.stopped {
				return errStopped
			}
		}
		wait := r.runTimers()
		switch {
		case r.stopped:
			return errStopped
		case ctx.Err() != nil:
			return ctx.Err()
		case r.live == 0 && r.timers.Len() == 0:
			return errStopped // nothing can happen any more
		case r.sub.Ended():
			return r.c.Err()
		}
		if d := r.sub.Dropped(); d > r.dropped {
			r.log.Warn("the script is too slow: events were dropped", "count", d-r.dropped)
			r.dropped = d
		}
		if !drained {
			continue // Ready tells of arrivals, not of what is still queued
		}
		timer.Reset(wait)
		select {
		case <-r.sub.Ready():
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dispatch calls the handlers of one notification. false from a handler ends the row.
func (r *runtime) dispatch(n wire.Notification) {
	name := lib.EventName(n)
	if len(r.handlers[name]) == 0 && len(r.handlers["*"]) == 0 {
		return
	}
	ev := &lua.LUserData{Value: &lib.Event{Name: name, Note: n}, Metatable: r.eventMeta}
	r.fire(name, ev)
}

// emit makes an event of ours.
func (r *runtime) emit(name string) {
	if len(r.handlers[name]) > 0 {
		r.fire(name, &lua.LUserData{Value: &lib.Event{Name: name}, Metatable: r.eventMeta})
	}
}

func (r *runtime) fire(name string, ev lua.LValue) {
	for _, list := range [2][]*handler{r.handlers[name], r.handlers["*"]} {
		for _, h := range list {
			if h.off {
				continue
			}
			if err := r.call(&h.event, h.fn, 1, ev); err != nil {
				r.report(h.event, err)
				continue
			}
			res := r.L.Get(-1)
			r.L.Pop(1)
			if r.stopped || res == lua.LFalse {
				return
			}
		}
	}
}

// report logs a handler's error with its place and trace; the script goes on.
func (r *runtime) report(what string, err error) {
	if r.stopped || r.base.Err() != nil {
		return
	}
	var e *Error
	if errors.As(err, &e) {
		r.log.Error(e.Text, "event", what, "file", e.File, "line", e.Line, "trace", e.Trace)
		return
	}
	r.log.Error(err.Error(), "event", what)
}
