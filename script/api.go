package script

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/meta"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// install puts everything a script sees into the state.
func (r *runtime) install(readable []string) {
	L := r.L.LState
	mg := L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"after":  func(L *lua.LState) int { return r.addTimer(L, false) },
		"every":  func(L *lua.LState) int { return r.addTimer(L, true) },
		"quote":  quote,
		"now":    func(L *lua.LState) int { L.Push(lua.LNumber(float64(r.now().UnixMicro()) / 1e6)); return 1 },
		"stop":   r.stop,
		"random": random,
		"env":    r.env,
	})
	for name, fn := range map[string]lua.LGFunction{
		"ask_ok": r.question(false), "ask_string": r.question(true), "exec": r.exec, "secret": r.secretOf, "on": r.on, "sleep": r.sleep, "wait_for": r.waitFor, "send": r.send, "get_state": r.getState, "get_status": r.getStatus,
	} {
		mg.RawSetString(name, r.L.Waiting(L, name, fn))
	}
	L.SetGlobal("json", lib.JSON(L))
	if err := r.verbs(mg); err != nil {
		panic(err) // our own
	}
	mg.ForEach(func(name, fn lua.LValue) { // sleep is moongate.sleep
		if g := name.String(); L.GetGlobal(g) == lua.LNil {
			L.SetGlobal(g, fn)
		}
	})
	args := L.NewTable()
	for _, a := range r.o.Args {
		args.Append(lua.LString(a))
	}
	mg.RawSetString("args", args)
	L.SetGlobal("moongate", mg)
	L.SetGlobal("base64", lib.Base64(L))
	L.SetGlobal("otp", lib.OTP(L))
	L.SetGlobal("log", lib.Log(L, r.log, r.secrets.clip))
	files := lib.File(L, r.dir, readable)
	lib.Writer{Base: r.dir, Dirs: r.o.Allow.Write, Tell: r.tell, Fake: r.fakeWrite}.AddTo(L, files)
	L.SetGlobal("file", files)
	L.SetGlobal("http", r.httpModule())
	L.SetGlobal("store", r.storeModule())
	L.SetGlobal("print", L.NewFunction(r.print))
	L.SetGlobal("require", r.L.Require(L, r.find, r.keepModule))
	r.eventMeta, r.replyMeta = r.newEventMeta(), r.newReplyMeta()
}

// handle makes a value with one method that can be called any number of times.
func (r *runtime) handle(L *lua.LState, method string, fn func()) lua.LValue {
	t := L.NewTable()
	t.RawSetString(method, L.NewFunction(func(*lua.LState) int { fn(); return 0 }))
	return t
}

// streamFor is the command that makes a daemon report an event; it is sent when a script first asks for it.
func streamFor(event string, interval float64) string {
	switch event {
	case "state", "log", "echo":
		return event + " on"
	case "bytecount", "client.bytecount":
		return "bytecount " + strconv.Itoa(max(1, int(interval)))
	}
	return ""
}

//go:embed api.lua
var verbs string

// verbs adds what is made of commands.
func (r *runtime) verbs(mg *lua.LTable) error {
	L := r.L.LState
	fn, err := L.Load(strings.NewReader(verbs), sandbox.Hidden)
	if err != nil {
		return err
	}
	fails := L.NewFunction(func(L *lua.LState) int {
		L.Error(lua.LString(sandbox.Where(L)+L.CheckString(1)), 0) // at the line that called the verb
		return 0
	})
	nearest := L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(lib.DidYouMean(L.CheckString(1), stringList(L, L.CheckTable(2)))))
		return 1
	})
	native := L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{"ban": r.addBan, "unban": r.liftBan, "bans": r.listBans, "denied": r.wasDenied, "host": hostOf})
	return L.CallByParam(lua.P{Fn: fn, Protect: true}, mg, fails, nearest, native)
}

// fakeWrite notes in a test what would be written to a file.
func (r *runtime) fakeWrite(name, text string) bool {
	if r.bench == nil {
		return false
	}
	r.bench.note("written", name+": "+strings.TrimRight(text, "\n"))
	return true
}

// maxHandlers bounds what a script may register.
const maxHandlers = 1000

// checkEventName reads the name of an event.
func checkEventName(L *lua.LState, arg int) string {
	event := L.CheckString(arg)
	if event != "*" && !slices.Contains(lib.EventNames(), event) {
		L.ArgError(arg, fmt.Sprintf("unknown event %q%s", lib.Short(event), lib.DidYouMean(event, lib.EventNames())))
	}
	return event
}

// on is moongate.on(event, function, options).
func (r *runtime) on(L *lua.LState) int {
	event, fn := checkEventName(L, 1), L.CheckFunction(2)
	o := lib.Options(L, 3, "interval", "timeout")
	interval, timeout := o.Number("interval", 1), o.Number("timeout", r.o.HandlerTimeout.Seconds())
	if !(timeout > 0 && timeout <= maxTimeout.Seconds()) {
		L.ArgError(3, fmt.Sprintf("timeout must be above 0 and at most %v", maxTimeout))
	}
	switch {
	case r.live >= maxHandlers:
		L.RaiseError("too many handlers")
	case r.draining:
		L.RaiseError("the script is about to end")
	}
	h := &handler{event: event, fn: fn, limit: time.Duration(timeout * float64(time.Second))}
	r.handlers[event] = append(slices.Clone(r.handlers[event]), h) // a fresh slice: a row may be walking the old one
	r.live++
	handle := r.handle(L, "off", func() {
		if !h.off {
			h.off = true
			r.live--
			r.handlers[event] = slices.DeleteFunc(slices.Clone(r.handlers[event]), func(x *handler) bool { return x == h })
		}
	})
	cmd := streamFor(event, interval)
	if cmd == "" || r.streams[event] == cmd {
		L.Push(handle)
		return 1
	}
	r.streams[event] = cmd
	return r.ask(L, cmd, nil, func(_ client.Reply, err error) []lua.LValue {
		if err != nil {
			r.log.Warn("stream not switched on", "command", cmd, "err", err)
		}
		return []lua.LValue{handle}
	})
}

// maxTimeout is the longest time of a handler.
const maxTimeout = 24 * time.Hour

// stream switches the stream of an event on without waiting for the answer.
func (r *runtime) stream(L *lua.LState, event string, interval float64) {
	cmd := streamFor(event, interval)
	if cmd == "" || r.streams[event] != "" || r.c == nil {
		return
	}
	r.streams[event] = cmd
	c := r.c
	r.ops.Go(func() {
		if _, err := c.Start(r.base, cmd)(r.base); err != nil {
			r.post(func() { r.log.Warn("stream not switched on", "command", cmd, "err", err) })
		}
	})
}

// quote is moongate.quote(word).
func quote(L *lua.LState) int {
	word := L.CheckString(1)
	if len(word) > maxWords {
		L.ArgError(1, tooLong)
	}
	sandbox.Spend(L, 4*len(word))
	L.Push(lua.LString(client.Line(word)))
	return 1
}

// words reads a command: a line, or a table of words that are quoted one by one.
func words(L *lua.LState, arg int) string {
	switch v := L.CheckAny(arg).(type) {
	case lua.LString:
		if len(v) > maxWords {
			L.ArgError(arg, tooLong)
		}
		return string(v)
	case *lua.LTable:
		return client.Line(stringList(L, v)...)
	default:
		L.ArgError(arg, "a line or a table of words expected")
		return ""
	}
}

// maxWords bounds the words of a command, the lines of a block and the arguments of a program, in bytes: a list that has one long string many
// times is small until it is written out.
const maxWords = 1 << 20

var tooLong = fmt.Sprintf("too long: at most %d bytes together", maxWords)

func stringList(L *lua.LState, t *lua.LTable) []string {
	var out []string
	total := 0
	for i, n := 1, t.Len(); i <= n; i++ {
		word := lua.LVAsString(t.RawGetInt(i))
		if total += len(word) + 1; total > maxWords {
			L.RaiseError("%s", tooLong)
		}
		out = append(out, word)
	}
	return out
}

// send is moongate.send(command, block).
func (r *runtime) send(L *lua.LState) int {
	line := words(L, 1)
	if t := L.OptTable(2, nil); t != nil {
		return r.pushReply(L, line, append([]string{}, stringList(L, t)...))
	}
	return r.cmd(L, line)
}

func (r *runtime) cmd(L *lua.LState, line string) int { return r.pushReply(L, line, nil) }

// pushReply sends a command, with a block unless that is nil, and returns {text =, lines =}, or nil and the daemon's text.
func (r *runtime) pushReply(L *lua.LState, line string, block []string) int {
	return r.ask(L, line, block, r.replyValues)
}

func (r *runtime) replyValues(reply client.Reply, err error) []lua.LValue {
	if err != nil {
		return []lua.LValue{lua.LNil, lua.LString(err.Error())}
	}
	return []lua.LValue{r.replyTable(reply)}
}

func (r *runtime) replyTable(reply client.Reply) *lua.LTable {
	t, lines := r.L.NewTable(), r.L.NewTable()
	t.RawSetString("text", lua.LString(reply.Text()))
	for _, l := range reply.Body() {
		lines.Append(lua.LString(l))
	}
	t.RawSetString("lines", lines)
	t.Metatable = r.replyMeta
	return t
}

// newReplyMeta makes replies print as their text, and refuse fields they do not have.
func (r *runtime) newReplyMeta() *lua.LTable {
	meta := r.L.NewTable()
	meta.RawSetString("__metatable", lua.LString("reply"))
	meta.RawSetString("__index", r.L.NewFunction(func(L *lua.LState) int {
		name := L.ToString(2)
		L.RaiseError("a reply has no field %q%s", lib.Short(name), lib.DidYouMean(name, []string{"text", "lines"}))
		return 0
	}))
	meta.RawSetString("__tostring", r.L.NewFunction(func(L *lua.LState) int {
		t := L.CheckTable(1)
		if lines, ok := t.RawGetString("lines").(*lua.LTable); ok && lines.Len() > 0 {
			L.Push(lua.LString(strings.Join(stringList(L, lines), "\n")))
		} else {
			L.Push(t.RawGetString("text"))
		}
		return 1
	}))
	return meta
}

// ask sends a command, with a block unless that is nil, and makes the running task wait for its reply.
func (r *runtime) ask(L *lua.LState, line string, block []string, answer func(client.Reply, error) []lua.LValue) int {
	return r.askAll(L, []string{line}, block, answer)
}

// askAll sends commands one after the other, up to the first that the daemon refuses; the last comes with the block. Commands
// arrive at the daemon in the order in which the script sends them.
func (r *runtime) askAll(L *lua.LState, lines, block []string, answer func(client.Reply, error) []lua.LValue) int {
	for _, line := range lines {
		r.decides(line)
	}
	c, before, mine := r.c, r.sent, make(chan struct{})
	size := 0
	for _, l := range slices.Concat(lines, block) {
		size += len(l)
	}
	n := r.await(L, true, size, func(ctx context.Context) func() []lua.LValue {
		if before != nil {
			<-before
		}
		sent := sync.OnceFunc(func() { close(mine) })
		defer sent()
		var reply client.Reply
		err := client.ErrLost
		for i, line := range lines {
			if c == nil {
				break
			}
			start := func() func(context.Context) (client.Reply, error) { return c.Start(ctx, line) }
			if block != nil && i == len(lines)-1 {
				start = func() func(context.Context) (client.Reply, error) { return c.StartBlock(ctx, line, block) }
			}
			wait := start()
			sent()
			if reply, err = wait(ctx); err != nil {
				break
			}
		}
		return func() []lua.LValue { return answer(reply, err) }
	})
	r.sent = mine // not before: where waiting is refused, nothing is sent
	return n
}

// stateFields are the fields of a state event, as of the table that get_state returns.
var stateFields = []string{"time", "name", "detail", "tun_ipv4", "remote_addr", "remote_port", "local_addr", "local_port", "tun_ipv6"}

// getState is moongate.get_state(): the newest state as a table.
func (r *runtime) getState(L *lua.LState) int {
	return r.ask(L, "state", nil, func(reply client.Reply, err error) []lua.LValue {
		body := reply.Body()
		if err == nil && len(body) == 0 {
			err = errors.New("the daemon has no state")
		}
		if err != nil {
			return []lua.LValue{lua.LNil, lua.LString(err.Error())}
		}
		ev := &lib.Event{Name: "state", Note: client.Notification{Kind: mgmt.KindState, Text: body[len(body)-1]}}
		t := r.L.NewTable()
		for _, f := range stateFields {
			t.RawSetString(f, ev.Field(r.L.LState, f))
		}
		return []lua.LValue{t}
	})
}

// getStatus is moongate.get_status(): clients of a server, counters of a client.
func (r *runtime) getStatus(L *lua.LState) int {
	return r.ask(L, "status 3", nil, func(reply client.Reply, err error) []lua.LValue {
		var s client.Status
		if err == nil {
			s, err = client.ParseStatus(reply.Body())
		}
		if err != nil {
			return []lua.LValue{lua.LNil, lua.LString(err.Error())}
		}
		return []lua.LValue{r.statusTable(s)}
	})
}

func (r *runtime) statusTable(s client.Status) *lua.LTable {
	L := r.L
	t, clients, counters := L.NewTable(), L.NewTable(), L.NewTable()
	for _, c := range s.Clients {
		row := L.NewTable()
		for name, v := range mgmt.StatusFields(c) {
			switch x := v.(type) {
			case string:
				row.RawSetString(name, lua.LString(x))
			case uint64:
				row.RawSetString(name, lua.LNumber(x))
			}
		}
		clients.Append(row)
	}
	for _, c := range s.Counters {
		counters.RawSetString(c.Name, lua.LNumber(c.Value))
	}
	t.RawSetString("server", lua.LBool(s.Server))
	t.RawSetString("clients", clients)
	t.RawSetString("counters", counters)
	return t
}

// random is moongate.random(n): n bytes of the kernel's randomness in hexadecimal.
func random(L *lua.LState) int {
	n := L.CheckInt(1)
	if n < 1 || n > 1024 {
		L.ArgError(1, "1 to 1024 bytes")
	}
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	L.Push(lua.LString(hex.EncodeToString(b)))
	return 1
}

// stop is moongate.stop(code): it ends the script at once.
func (r *runtime) stop(L *lua.LState) int {
	code := L.OptInt(1, 0)
	if code < 0 || code > 255 {
		L.ArgError(1, "a code from 0 to 255")
	}
	r.exitCode, r.stopped = code, true
	r.L.Meter.Interrupt(errStopped) // no pcall goes on
	L.Error(lua.LString("stopped"), 0)
	return 0
}

// print joins its arguments by tabs, as Lua does, and shows what tables hold.
func (r *runtime) print(L *lua.LState) int {
	var b strings.Builder
	for i, n := 1, L.GetTop(); i <= n && b.Len() <= maxPrint; i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(lib.Show(L, L.Get(i), maxPrint, r.secrets.clip))
	}
	text := lib.Clip(b.String(), maxPrint)
	sandbox.Spend(L, 4*len(text))
	r.o.Print(text)
	return 0
}

// maxPrint is how much one print prints, in bytes; in the daemon's log it is less.
const maxPrint = 1 << 20

var moduleName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// find is the first half of require: NAME.lua from the script's folder; dots are folders. It returns the module, or nil and
// the function that makes it.
func (r *runtime) find(L *lua.LState) int {
	name := L.CheckString(1)
	if v, ok := r.loaded[name]; ok {
		L.Push(v)
		return 1
	}
	if len(name) > 256 || !moduleName.MatchString(name) {
		L.ArgError(1, "not a module name")
	}
	file := filepath.FromSlash(strings.ReplaceAll(name, ".", "/")) + ".lua"
	src, err := lib.ReadFile([]string{r.dir}, filepath.Join(r.dir, file))
	if errors.Is(err, os.ErrNotExist) {
		L.RaiseError("module %s not found: there is no %s beside the script", name, file)
	} else if err != nil {
		L.RaiseError("%s", err.Error())
	}
	chunk, err := compileSource(file, src)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	r.sources[baseName(file)] = chunk.Lines()
	fn, err := chunk.Load(L)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	r.stats.Modules = append(r.stats.Modules, filepath.Join(r.dir, file))
	r.loaded[name] = lua.LTrue // a module that requires itself sees this
	L.Push(lua.LNil)
	L.Push(fn)
	return 2
}

// keepModule is the second half of require: what the module returned is kept.
func (r *runtime) keepModule(L *lua.LState) int {
	name := L.CheckString(1)
	if v := L.Get(2); v != lua.LNil {
		r.loaded[name] = v
	}
	L.Push(r.loaded[name])
	return 1
}

// newEventMeta makes the metatable of events: fields are read lazily, methods answer prompts.
func (r *runtime) newEventMeta() *lua.LTable {
	L := r.L
	methods := make(map[string]*lua.LFunction)
	for name, fn := range map[string]func(*lua.LState, *lib.Event) int{
		"answer": r.answer, "ok": r.needOK("ok"), "cancel": r.needOK("cancel"), "admit": r.admit, "deny": r.deny,
		"pending": r.pending, "release": r.release, "accept": r.accept, "skip": r.skip, "modify": r.modify, "use": r.use, "sign": r.sign,
		"certificate": r.certificate,
	} {
		methods[name] = r.L.Waiting(L.LState, name, func(L *lua.LState) int { return fn(L, checkEvent(L)) })
	}
	events := L.NewTable()
	events.RawSetString("__metatable", lua.LString("event"))
	events.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		ev, name := checkEvent(L), L.CheckString(2)
		if m, ok := methods[name]; ok {
			L.Push(m)
		} else {
			v := ev.Field(L, name)
			if v == lua.LNil && !slices.Contains(meta.Fields(), name) {
				L.RaiseError("%s", noField(name))
			}
			L.Push(v)
		}
		return 1
	}))
	events.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(client.Redact(checkEvent(L).Note.String())))
		return 1
	}))
	return events
}

func checkEvent(L *lua.LState) *lib.Event {
	if ev, ok := L.CheckUserData(1).Value.(*lib.Event); ok {
		return ev
	}
	L.ArgError(1, "event expected: call methods with a colon")
	return nil
}

// field is a string or number field of ev as text.
func field(L *lua.LState, ev *lib.Event, name string) string {
	return lua.LVAsString(ev.Field(L, name))
}

// answer is ev:answer{…} for a password prompt, ev:answer(text) for NEED-STR and NEED-OK.
func (r *runtime) answer(L *lua.LState, ev *lib.Event) int {
	switch ev.Name {
	case "needstr":
		return r.cmd(L, client.Line("needstr", field(L, ev, "type"), L.CheckString(2)))
	case "needok":
		return r.cmd(L, client.Line("needok", field(L, ev, "type"), L.CheckString(2)))
	case "password.need":
	default:
		L.RaiseError("event %s is not a question", ev.Name)
	}
	o := lib.Options(L, 2, "username", "password", "response", "state_id")
	typ := field(L, ev, "type")
	password, response := o.String("password", ""), o.String("response", "")
	switch id := o.String("state_id", ""); {
	case id != "":
		password = mgmt.DynamicChallenge{State: id}.Answer(response)
	case ev.Field(L, "challenge_concat") == lua.LTrue:
		password += response
	case ev.Field(L, "challenge") != lua.LNil:
		password = mgmt.StaticResponse(password, response)
	}
	var lines []string
	if ev.Field(L, "wants_username") == lua.LTrue {
		user := o.String("username", "")
		if user == "" {
			L.ArgError(2, "this prompt wants a username")
		}
		lines = append(lines, client.Line("username", typ, user))
	}
	if len(lines) == 0 || ev.Field(L, "wants_password") != lua.LFalse {
		lines = append(lines, client.Line("password", typ, password))
	}
	return r.askAll(L, lines, nil, r.replyValues)
}

func (r *runtime) needOK(word string) func(*lua.LState, *lib.Event) int {
	return func(L *lua.LState, ev *lib.Event) int {
		if ev.Name != "needok" {
			L.RaiseError("event %s asks for no confirmation", ev.Name)
		}
		return r.cmd(L, client.Line("needok", field(L, ev, "type"), word))
	}
}

// ids are the client id and key id an event is about.
func ids(L *lua.LState, ev *lib.Event) (cid, kid string) {
	cid, kid = field(L, ev, "cid"), field(L, ev, "kid")
	if cid == "" || kid == "" {
		L.RaiseError("event %s waits for no verdict", ev.Name)
	}
	return cid, kid
}

// admit is ev:admit{directives}.
func (r *runtime) admit(L *lua.LState, ev *lib.Event) int {
	cid, kid := ids(L, ev)
	if t := L.OptTable(2, nil); t != nil && t.Len() > 0 {
		return r.pushReply(L, "client-auth "+cid+" "+kid, stringList(L, t))
	}
	return r.cmd(L, "client-auth-nt "+cid+" "+kid)
}

// deny is ev:deny(reason, {client_reason =}).
func (r *runtime) deny(L *lua.LState, ev *lib.Event) int {
	cid, kid := ids(L, ev)
	w := []string{"client-deny", cid, kid, L.OptString(2, "denied by script")}
	if reason := lib.Options(L, 3, "client_reason").String("client_reason", ""); reason != "" {
		w = append(w, reason)
	}
	return r.cmd(L, client.Line(w...))
}

// pending is ev:pending(extra, seconds).
func (r *runtime) pending(L *lua.LState, ev *lib.Event) int {
	cid, kid := ids(L, ev)
	return r.cmd(L, client.Line("client-pending-auth", cid, kid, L.CheckString(2), strconv.Itoa(L.CheckInt(3))))
}

// remote events: ev:accept(), ev:skip(n), ev:modify(host, port).
func (r *runtime) accept(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "remote")
	return r.cmd(L, "remote ACCEPT")
}

func (r *runtime) skip(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "remote")
	if L.Get(2) != lua.LNil {
		return r.cmd(L, "remote SKIP "+strconv.Itoa(L.CheckInt(2)))
	}
	return r.cmd(L, "remote SKIP")
}

func (r *runtime) modify(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "remote")
	return r.cmd(L, client.Line("remote", "MOD", L.CheckString(2), L.ToStringMeta(L.CheckAny(3)).String()))
}

// use answers a proxy event: ev:use(), ev:use("http", host, port), ev:use("socks", host, port).
func (r *runtime) use(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "proxy")
	kind := strings.ToUpper(L.OptString(2, "none"))
	switch kind {
	case "NONE":
		return r.cmd(L, "proxy NONE")
	case "HTTP", "SOCKS":
		return r.cmd(L, client.Line("proxy", kind, L.CheckString(3), L.ToStringMeta(L.CheckAny(4)).String()))
	}
	L.ArgError(2, "want none, http or socks")
	return 0
}

// sign answers a sign event with the bytes of a signature.
func (r *runtime) sign(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "sign")
	command := "pk-sig"
	if ev.Note.Kind == mgmt.KindRSASign {
		command = "rsa-sig"
	}
	return r.pushReply(L, command, blockLines(base64.StdEncoding.EncodeToString([]byte(L.CheckString(2)))))
}

// certificate answers a certificate.need event with PEM text.
func (r *runtime) certificate(L *lua.LState, ev *lib.Event) int {
	only(L, ev, "certificate.need")
	return r.pushReply(L, "certificate", strings.Split(strings.TrimSpace(L.CheckString(2)), "\n"))
}

// blockLines cuts base64 text as the port reads it.
func blockLines(text string) []string {
	var lines []string
	for len(text) > 64 {
		lines, text = append(lines, text[:64]), text[64:]
	}
	return append(lines, text)
}

// only raises when a method does not belong to the event.
func only(L *lua.LState, ev *lib.Event, name string) {
	if ev.Name != name {
		L.RaiseError("event %s is no %s", ev.Name, name)
	}
}

// release is ev:release() of a hold.
func (r *runtime) release(L *lua.LState, ev *lib.Event) int {
	if ev.Name != "hold" {
		L.RaiseError("event %s is no hold", ev.Name)
	}
	return r.cmd(L, "hold release")
}
