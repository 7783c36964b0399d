package script

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/wire"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// TestResult is the outcome of one test of a file.
type TestResult struct {
	File, Name string
	Took       time.Duration
	Failure    string // with file and line; empty: passed
}

//go:embed test.lua
var testLibrary string

// Test runs the tests of a file: each in a state of its own, against a daemon, a clock, programs and secrets that the test plays. Recording
// reads a recording for play. The error is one of the file itself.
func Test(ctx context.Context, path string, recording func(path string) ([]RecordedLine, error)) ([]TestResult, error) {
	var results []TestResult
	for i := 0; ; i++ {
		r, err := testOne(ctx, path, i, recording)
		if errors.Is(err, errNoTest) {
			return results, nil
		}
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
}

// RecordedLine is a line of a recording that came from the daemon.
type RecordedLine struct {
	At   time.Duration
	Text string
}

var errNoTest = errors.New("no such test")

// bench plays a test.
type bench struct {
	r       *runtime
	now     time.Time
	replies map[string]string
	taken   map[string][]string // sent, printed, logged, written
	tests   *lua.LTable
	settled []func() // called when nothing runs any more
}

// testOne runs test number index of the file at path. The error is the file's own, or errNoTest behind the last one.
func testOne(ctx context.Context, path string, index int, recording func(string) ([]RecordedLine, error)) (TestResult, error) {
	chunk, err := compile(path)
	if err != nil {
		return TestResult{}, err
	}
	store, err := os.MkdirTemp("", "moongate-test-")
	if err != nil {
		return TestResult{}, err
	}
	defer os.RemoveAll(store)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b, err := newBench(ctx, path, filepath.Join(store, "test.db"))
	if err != nil {
		return TestResult{}, err
	}
	defer b.r.close()
	defer cancel() // first: close waits for what runs
	if err := b.load(chunk, recording); err != nil {
		return TestResult{}, err
	}
	one, ok := b.tests.RawGetInt(index + 1).(*lua.LTable)
	if !ok {
		return TestResult{}, errNoTest
	}
	begin := time.Now()
	res := TestResult{File: path, Name: one.RawGetString("name").String()}
	e := b.call(one.RawGetString("fn").(*lua.LFunction))
	res.Took = time.Since(begin)
	switch {
	case ctx.Err() != nil:
		res.Failure = "it took longer than a minute"
	case e != nil:
		res.Failure = e.Error()
	case b.r.stats.Errors > 0:
		res.Failure = "a handler failed: " + b.r.stats.LastError
	}
	return res, nil
}

// newBench makes a runtime whose clock, daemon and output are the bench's.
func newBench(ctx context.Context, path, store string) (*bench, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	b := &bench{now: time.Unix(1_800_000_000, 0), replies: make(map[string]string), taken: make(map[string][]string)}
	r, err := newRuntime(ctx, path, Options{
		HandlerTimeout: DefaultHandlerTimeout, Burst: 2 * time.Second, Alone: false, Clock: func() time.Time { return b.now },
		Allow: Allow{Read: []string{dir}, Store: true, StoreFile: store},
		Print: func(s string) { b.note("printed", s) }, Log: slog.New(slog.NewTextHandler(benchLog{b}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: bare})),
	}.withDefaults())
	if err != nil {
		return nil, err
	}
	r.bench, b.r, r.c, r.closed = b, r, b, false
	r.stats.State = mgmt.ScriptRunning
	return b, nil
}

// load runs the main chunk of a file of tests, which collects them.
func (b *bench) load(chunk *sandbox.Chunk, recording func(string) ([]RecordedLine, error)) error {
	r := b.r
	if err := b.install(recording); err != nil {
		return err
	}
	r.sources[baseName(r.path)] = chunk.Lines()
	fn, err := chunk.Load(r.L.LState)
	if err != nil {
		return r.scriptError(err, nil)
	}
	return b.call(fn)
}

func bare(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "script" {
		return slog.Attr{}
	}
	return a
}

// benchLog keeps log lines.
type benchLog struct{ b *bench }

// Write implements io.Writer.
func (l benchLog) Write(p []byte) (int, error) {
	l.b.note("logged", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

func (b *bench) note(what, text string) { b.taken[what] = append(b.taken[what], text) }

// forever is longer than any test moves its clock.
const forever = 200 * 365 * 24 * time.Hour

// call runs fn as a task and everything that comes of it, until it ends.
func (b *bench) call(fn *lua.LFunction) error {
	r := b.r
	var failure *Error
	over := false
	r.start(&task{what: "test", fn: fn, limit: forever, failed: func(e *Error) { failure = e }, finish: func() { over = true }})
	for !over && !r.stopped && r.fatal == nil {
		r.takeResults()
		if over {
			break
		}
		if r.underWay == 0 && !r.timerDue() && len(b.settled) > 0 {
			f := b.settled[0]
			b.settled = b.settled[1:]
			f()
			continue
		}
		if r.timerDue() {
			r.runTimers()
			continue
		}
		if r.underWay == 0 {
			return &Error{File: r.path, Text: "the test waits for something that never comes: use clock.advance"}
		}
		select {
		case <-r.results.wake:
		case <-r.base.Done():
			return r.base.Err()
		}
	}
	if failure != nil {
		return failure
	}
	return r.fatal
}

// Start implements session: every command is noted, and answered as the test says.
func (b *bench) Start(_ context.Context, line string) func(context.Context) (client.Reply, error) {
	b.note("sent", line)
	return b.answer(line)
}

// StartBlock implements session.
func (b *bench) StartBlock(_ context.Context, line string, lines []string) func(context.Context) (client.Reply, error) {
	b.note("sent", strings.Join(append([]string{line}, lines...), " | "))
	return b.answer(line)
}

func (b *bench) answer(line string) func(context.Context) (client.Reply, error) {
	text, ok := b.replies[line]
	if !ok {
		text = "SUCCESS: ok"
		switch word, _, _ := strings.Cut(line, " "); {
		case word == "status":
			text = "TITLE\ttest\nEND" // a server without clients
		case word == "state" && !strings.HasSuffix(line, " on"), word == "version", word == "scripts":
			text = "END"
		}
	}
	return func(context.Context) (client.Reply, error) {
		reply := client.Reply{Raw: strings.Split(text, "\n")}
		if e, is := strings.CutPrefix(text, "ERROR: "); is {
			return reply, &client.ReplyError{Cmd: line, Text: e}
		}
		return reply, nil
	}
}

// request is a native function that lets everything else run first.
func (b *bench) request(L *lua.LState, start func(done func(...lua.LValue))) int {
	q := &request{}
	q.start = func(t *task) {
		start(func(v ...lua.LValue) { b.settled = append(b.settled, func() { b.r.resume(t, q, v...) }) })
	}
	return b.r.L.Ask(L, q)
}

func (b *bench) install(recording func(string) ([]RecordedLine, error)) error {
	r := b.r
	L := r.L.LState
	b.tests = L.NewTable()
	native := L.NewTable()
	native.RawSetString("cases", b.tests)
	native.RawSetString("fakes", L.NewTable())
	native.RawSetString("served", L.NewTable())
	waiting := func(name string, fn lua.LGFunction) { native.RawSetString(name, r.L.Waiting(L, name, fn)) }
	waiting("emit", func(L *lua.LState) int {
		n, err := notification(L.CheckString(1), L.CheckTable(2))
		if err != nil {
			L.ArgError(1, err.Error())
		}
		return b.request(L, func(done func(...lua.LValue)) {
			r.dispatch(n)
			done()
		})
	})
	waiting("loaded", func(L *lua.LState) int {
		return b.request(L, func(done func(...lua.LValue)) {
			r.emit("connected")
			done()
		})
	})
	waiting("advance", func(L *lua.LState) int {
		target := b.now.Add(seconds(L, 1))
		return b.request(L, func(done func(...lua.LValue)) { b.advance(target, done) })
	})
	L.SetFuncs(native, map[string]lua.LGFunction{
		"set":   func(L *lua.LState) int { b.now = time.Unix(L.CheckInt64(1), 0); return 0 },
		"reply": func(L *lua.LState) int { b.replies[L.CheckString(1)] = L.CheckString(2); return 0 },
		"fail": func(L *lua.LState) int {
			L.Error(lua.LString(sandbox.Where(L)+L.CheckString(1)), 0)
			return 0
		},
		"take":      b.take,
		"compile":   b.compile,
		"recording": func(L *lua.LState) int { return b.recording(L, recording) },
	})
	fn, err := L.Load(strings.NewReader(testLibrary), sandbox.Hidden)
	if err != nil {
		return err
	}
	return L.CallByParam(lua.P{Fn: fn, Protect: true}, native)
}

// take gives the test what was noted under a name, and forgets it.
func (b *bench) take(L *lua.LState) int {
	t := L.NewTable()
	for _, s := range b.taken[L.CheckString(1)] {
		t.Append(lua.LString(s))
	}
	delete(b.taken, L.CheckString(1))
	L.Push(t)
	return 1
}

// compile loads the script that is tested, by its path from the file of tests.
func (b *bench) compile(L *lua.LState) int {
	path := L.CheckString(1)
	if !filepath.IsAbs(path) {
		path = filepath.Join(b.r.dir, path)
	}
	chunk, err := compile(path)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	b.r.sources[baseName(path)] = chunk.Lines()
	fn, err := chunk.Load(L)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	L.Push(fn)
	return 1
}

// advance moves the clock from timer to timer up to target.
func (b *bench) advance(target time.Time, done func(...lua.LValue)) {
	if b.r.timers.Len() > 0 && !b.r.timers[0].at.After(target) {
		if at := b.r.timers[0].at; at.After(b.now) {
			b.now = at
		}
		b.settled = append(b.settled, func() { b.advance(target, done) }) // when what is due has run
		return
	}
	b.now = target
	done()
}

func (b *bench) recording(L *lua.LState, read func(string) ([]RecordedLine, error)) int {
	path := L.CheckString(1)
	if !filepath.IsAbs(path) {
		path = filepath.Join(b.r.dir, path)
	}
	lines, err := read(path)
	if err != nil {
		L.RaiseError("%s: %s", path, err.Error())
	}
	out := L.NewTable()
	var asm wire.Assembler
	for _, l := range lines {
		n, ok := asm.Add(l.Text)
		if !strings.HasPrefix(l.Text, ">") || !ok {
			continue
		}
		row, env := L.NewTable(), L.NewTable()
		for _, v := range n.Env {
			k, v, _ := strings.Cut(v, "=")
			env.RawSetString(k, lua.LString(v))
		}
		row.RawSetString("at", lua.LNumber(l.At.Seconds()))
		row.RawSetString("text", lua.LString(n.String()))
		row.RawSetString("env", env)
		out.Append(row)
	}
	L.Push(out)
	return 1
}

// notification reads a line of the port, with the environment of a block.
func notification(line string, env *lua.LTable) (wire.Notification, error) {
	kind, text, ok := strings.Cut(strings.TrimPrefix(line, ">"), ":")
	if !ok {
		return wire.Notification{}, fmt.Errorf("%q: want >KIND:TEXT", line)
	}
	n := wire.Notification{Kind: kind, Text: text}
	env.ForEach(func(k, v lua.LValue) { n.Env = append(n.Env, k.String()+"="+v.String()) })
	return n, nil
}
