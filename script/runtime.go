package script

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
	"golang.org/x/sync/semaphore"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/wire"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// runtime is one script. The goroutine of run owns all of it but results. Each of its parts has one file that writes it:
//
//	connection   runtime.go: the session with the daemon
//	tasking      task.go: what runs, and the events that wait for it
//	timing       timers.go: what is due
//	beside       exec.go, ask.go, task.go: work that other goroutines do
//	serving      serve.go: http.serve
//	deciding     verdict.go: the logins that the script decides about
//	storing      store.go: the file of the module store
type runtime struct {
	path string
	dir  string // of path
	o    Options
	log  *slog.Logger
	L    *sandbox.State
	base context.Context // of run

	connection
	tasking
	timing
	beside
	serving
	deciding
	storing
	bans bans

	handlers  map[string][]*handler // by event name, in order of registration
	live      int                   // handlers that are on
	waiters   []*waiter             // of wait_for
	eventMeta *lua.LTable
	replyMeta *lua.LTable
	loaded    map[string]lua.LValue // require
	sources   map[string][]string   // lines by file name, to explain errors
	secrets   redactor
	quota     *quota // of a log that others share, nil without
	bench     *bench // in a test

	stopped  bool
	exitCode int
	fatal    error // the script cannot go on
	draining bool
	stats    stats
}

// connection is the session with the daemon.
type connection struct {
	c       session // nil between two
	sub     *client.Subscription
	streams map[string]string // commands that switch real-time streams on, by event name
	sent    <-chan struct{}   // closed when the last command is on its way
	dropped uint64            // events of this session, as far as the script was told
}

// serving holds the servers of http.serve.
type serving struct {
	servers []*webServer
	bodies  *semaphore.Weighted // bytes of requests to them
}

// beside is the work that other goroutines do for a script.
type beside struct {
	ops      sync.WaitGroup
	acting   chan struct{} // a place for each program and request at work
	fetching chan struct{} // the same for secrets
	asking   chan struct{} // the same for questions
	underWay int           // operations of await
	held     int           // bytes that wait with them
	results  struct {
		sync.Mutex
		list []func()
		wake chan struct{} // room for one
	}
}

// session is a script's connection to a daemon.
type session interface {
	Start(ctx context.Context, line string) func(context.Context) (client.Reply, error)
	StartBlock(ctx context.Context, line string, lines []string) func(context.Context) (client.Reply, error)
}

// handler is one moongate.on.
type handler struct {
	event string
	fn    *lua.LFunction
	limit time.Duration // for one call, waits included
	off   bool
}

func newRuntime(ctx context.Context, path string, o Options) (*runtime, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	r := &runtime{
		path: path, o: o, log: o.Log.With("script", filepath.Base(path)),
		L:        sandbox.NewState(sandbox.Limits{Burst: o.Burst, Memory: o.Memory, Shared: !o.Alone}),
		handlers: make(map[string][]*handler), loaded: make(map[string]lua.LValue), sources: make(map[string][]string), base: ctx,
	}
	r.streams, r.busy, r.closed = make(map[string]string), make(map[subject]*line), true
	if o.Addresses == nil {
		r.o.Addresses = AddressesOf(path)
	}
	if o.SharedLog {
		r.quota = newQuota(r.log)
		r.o.Print = r.quota.printer(o.Print)
		r.log = slog.New(quotaHandler{r.log.Handler(), r.quota})
	}
	r.log = slog.New(cleanHandler{r.log.Handler(), &r.secrets})
	r.acting, r.fetching, r.asking = make(chan struct{}, maxAtOnce), make(chan struct{}, maxAtOnce), make(chan struct{}, maxAtOnce)
	r.bodies = semaphore.NewWeighted(maxBodies)
	r.results.wake = make(chan struct{}, 1)
	r.stats.init(path)
	r.dir = dir
	r.install(slices.Concat(o.ReadDirs, o.Allow.Read))
	return r, nil
}

// close ends what still runs for the script. The context of run is over by then, or is ended by the caller's defer.
func (r *runtime) close() {
	r.stopServers()
	r.ops.Wait()
	r.leaveStore()
	r.quota.tell(true)
	r.L.Close()
}

// run executes the main chunk and then serves sessions.
func (r *runtime) run(ctx context.Context, c *client.Client, chunk *sandbox.Chunk) error {
	r.attach(c)
	r.sources[baseName(r.path)] = chunk.Lines()
	fn, err := chunk.Load(r.L.LState)
	if err != nil {
		return r.scriptError(err, nil)
	}
	r.startMain(fn)
	for {
		err := r.serve(ctx)
		switch {
		case errors.Is(err, errStopped):
			if r.exitCode != 0 {
				return &ExitError{r.exitCode}
			}
			if r.o.Strict && r.stats.Errors > 0 {
				return &FailedError{Errors: r.stats.Errors, Last: r.stats.LastError}
			}
			return nil
		case !errors.Is(err, client.ErrLost) || ctx.Err() != nil:
			return err
		}
		r.c = nil
		r.emit("lost")
		if r.o.Redial == nil || r.stopped {
			return err
		}
		r.log.Warn("session lost, dialing again", "err", err)
		again, err := r.o.Redial(ctx)
		if err != nil {
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
	r.c, r.sub, r.dropped = c, r.o.Events, 0
	if r.sub == nil {
		r.sub = c.SubscribeQueue(r.o.Queue)
	}
	r.o.Events = nil // a later session has events of its own
	if r.o.DryRun != nil {
		r.c = &dryRun{c, r.o.DryRun}
	}
}

// serve hands out events, results and timers until the session or the script ends.
func (r *runtime) serve(ctx context.Context) error {
	defer r.sub.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		drained := r.pull()
		r.takeResults()
		wait := r.runTimers()
		switch {
		case r.fatal != nil:
			return r.fatal
		case r.stopped:
			return errStopped
		case ctx.Err() != nil:
			return ctx.Err()
		case r.finished():
			return errStopped // nothing can happen any more
		case r.sub.Ended() && r.stats.State != mgmt.ScriptStarting && (r.backlog == 0 || r.tasks == 0):
			if c, ok := r.c.(interface{ Err() error }); ok {
				return c.Err()
			}
			return client.ErrLost
		}
		if d := r.sub.Dropped(); d > r.dropped {
			r.log.Warn("the script is too slow: events were dropped", "count", d-r.dropped)
			r.stats.Dropped += d - r.dropped
			r.dropped = d
		}
		r.stats.publish(r)
		if !drained {
			continue // Ready tells of arrivals, not of what is still queued
		}
		r.leaveStore()
		timer.Reset(min(wait, r.stats.next(), r.quota.tell(false)))
		select {
		case <-r.sub.Ready():
		case <-r.results.wake:
		case <-timer.C:
		case <-r.o.control.begin:
			r.o.control.begin = nil
			r.startServers()
			if r.stats.State != mgmt.ScriptStarting {
				r.open(*r.o.control.keep)
			}
		case <-r.o.control.drain:
			r.drain()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxBacklog is how many events may wait for others about their subject before no more are taken from the session's queue.
const maxBacklog = 1024

// pull takes up to 256 events from the session and reports whether it has no more.
func (r *runtime) pull() (drained bool) {
	for range 256 { // then look at the timers
		if r.backlog >= maxBacklog || r.tasks >= maxTasks {
			return true // results, timers and deadlines go on; they make room
		}
		n, ok := r.sub.TryNext()
		if !ok {
			return true
		}
		r.dispatch(n)
		if r.stopped || r.fatal != nil {
			return true
		}
	}
	return false
}

// finished reports whether nothing can happen any more.
func (r *runtime) finished() bool {
	if r.tasks > 0 || r.draining && len(r.servers) > 0 {
		return false
	}
	return r.draining || r.live == 0 && r.timers.Len() == 0 && r.backlog == 0 && !r.o.control.keepAlive
}

// open lets events in. What came before is kept, or was the business of the script's predecessor.
func (r *runtime) open(keep bool) {
	if r.draining {
		return
	}
	r.closed = false
	r.stats.State = mgmt.ScriptRunning
	for _, s := range r.early {
		switch l := r.busy[s]; {
		case l == nil || l.running != nil:
		case keep:
			r.advance(s, l)
		default:
			r.backlog -= len(l.queue)
			delete(r.busy, s)
		}
	}
	r.early = nil
}

// drain ends the script when what has begun is over.
func (r *runtime) drain() {
	r.o.control.drain = nil
	r.draining, r.closed = true, true
	r.stats.State = mgmt.ScriptDraining
	clear(r.handlers)
	r.live = 0
	if len(r.servers) > 0 {
		r.schedule(r.now().Add(serveOn), r.stopServers)
	}
	r.dropTimers()
}

// dispatch gives a notification to those that wait for it, and begins the calls of its handlers.
func (r *runtime) dispatch(n wire.Notification) {
	name := lib.EventName(n)
	if r.quota != nil && name == "log" && r.isOwn(n) {
		return
	}
	if (len(r.bans.of) > 0 || r.o.Allow.Store) && r.c != nil && r.keepOut(&lib.Event{Name: name, Note: n}) {
		return
	}
	wanted := len(r.handlers[name]) > 0 || len(r.handlers["*"]) > 0 || r.closed && !r.draining // the main chunk may still ask for it
	r.seq++
	if !wanted && len(r.waiters) == 0 && r.tasks == 0 {
		return
	}
	ev := &lua.LUserData{Value: &lib.Event{Name: name, Note: n}, Metatable: r.eventMeta}
	r.offer(ev)
	if wanted {
		r.stats.Events++
		r.begin(subjectOf(name, n), name, ev)
	}
}

// isOwn reports whether a line of the log is the script's: one that prints what it hears of the log would never end.
func (r *runtime) isOwn(n wire.Notification) bool {
	_, rest, _ := strings.Cut(n.Text, ",")
	_, message, _ := strings.Cut(rest, ",")
	return strings.HasPrefix(message, r.path)
}

// emit makes an event of ours.
func (r *runtime) emit(name string) {
	r.seq++
	ev := &lua.LUserData{Value: &lib.Event{Name: name}, Metatable: r.eventMeta}
	r.offer(ev)
	if len(r.handlers[name]) > 0 {
		r.begin(subject{name: "session"}, name, ev)
	}
}

// report logs a handler's error with its place and trace; the script goes on.
func (r *runtime) report(what string, e *Error) {
	if r.stopped || r.base.Err() != nil {
		return
	}
	r.stats.failed(e)
	r.log.Error(e.Text, "event", what, "file", e.File, "line", e.Line, "trace", e.Trace)
}

// scriptError returns the error that ended a coroutine. co is nil for errors of loading.
func (r *runtime) scriptError(err error, co *lua.LState) *Error {
	var cause error
	if co != nil {
		cause = r.L.Meter.Err()
	}
	e := withPath(scriptError(filepath.Base(r.path), err, cause, co), r.path)
	r.explain(e)
	e.Text = r.secrets.clip(e.Text, maxErrorText)
	if t := r.L.TakeTrace(); t != "" {
		e.Trace = t
	}
	return e
}

// post has f run by the goroutine of run.
func (r *runtime) post(f func()) {
	r.results.Lock()
	r.results.list = append(r.results.list, f)
	r.results.Unlock()
	select {
	case r.results.wake <- struct{}{}:
	default:
	}
}

func (r *runtime) takeResults() {
	r.results.Lock()
	list := r.results.list
	r.results.list = nil
	r.results.Unlock()
	for _, f := range list {
		if r.stopped || r.fatal != nil {
			return
		}
		f()
	}
}

// control steers a script that takes the place of another, from another goroutine of the package.
type control struct {
	begin     chan struct{} // closed: events may be handled; nil: at once when the main chunk has ended
	keep      *bool         // what came before the main chunk ended is handled too; written before begin is closed
	drain     chan struct{} // closed: end when what has begun is over
	keepAlive bool          // do not end for want of handlers
	ready     func()        // called when the main chunk has ended well
}
