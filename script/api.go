package script

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// install puts everything a script sees into the state.
func (r *runtime) install(dirs []string) {
	L := r.L
	mg := L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"on":         r.on,
		"after":      func(L *lua.LState) int { return r.addTimer(L, false) },
		"every":      func(L *lua.LState) int { return r.addTimer(L, true) },
		"send":       r.send,
		"get_state":  r.getState,
		"get_status": r.getStatus,
		"quote":      func(L *lua.LState) int { L.Push(lua.LString(client.Line(L.CheckString(1)))); return 1 },
		"now":        func(L *lua.LState) int { L.Push(lua.LNumber(float64(time.Now().UnixMicro()) / 1e6)); return 1 },
		"stop":       r.stop,
	})
	args := L.NewTable()
	for _, a := range r.o.Args {
		args.Append(lua.LString(a))
	}
	mg.RawSetString("args", args)
	L.SetGlobal("moongate", mg)
	L.SetGlobal("json", lib.JSON(L))
	L.SetGlobal("base64", lib.Base64(L))
	L.SetGlobal("otp", lib.OTP(L))
	L.SetGlobal("log", lib.Log(L, r.log))
	L.SetGlobal("file", lib.File(L, dirs))
	L.SetGlobal("print", L.NewFunction(r.print))
	L.SetGlobal("require", L.NewFunction(func(L *lua.LState) int { return r.require(L, dirs[:1]) }))
	r.eventMeta = r.newEventMeta()
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

// on is moongate.on(event, function, options).
func (r *runtime) on(L *lua.LState) int {
	event, fn := L.CheckString(1), L.CheckFunction(2)
	o := lib.Options(L, 3, "interval")
	if event != "*" && !slices.Contains(lib.EventNames(), event) {
		L.ArgError(1, fmt.Sprintf("unknown event %q", event))
	}
	if cmd := streamFor(event, o.Number("interval", 1)); cmd != "" && r.streams[event] != cmd {
		r.streams[event] = cmd
		if r.c != nil {
			if _, err := r.c.Cmd(L.Context(), cmd); err != nil {
				L.RaiseError("%s: %s", cmd, err.Error())
			}
		}
	}
	h := &handler{event: event, fn: fn}
	r.handlers[event] = append(r.handlers[event], h)
	r.live++
	L.Push(r.handle(L, "off", func() {
		if !h.off {
			h.off = true
			r.live--
			// a fresh slice: fire may be walking the old one
			r.handlers[event] = slices.DeleteFunc(slices.Clone(r.handlers[event]), func(x *handler) bool { return x == h })
		}
	}))
	return 1
}

// words reads a command: a line, or a table of words that are quoted one by one.
func words(L *lua.LState, arg int) string {
	switch v := L.CheckAny(arg).(type) {
	case lua.LString:
		return string(v)
	case *lua.LTable:
		var w []string
		for i := 1; i <= v.Len(); i++ {
			w = append(w, lua.LVAsString(v.RawGetInt(i)))
		}
		return client.Line(w...)
	default:
		L.ArgError(arg, "a line or a table of words expected")
		return ""
	}
}

func stringList(L *lua.LState, t *lua.LTable) []string {
	var out []string
	for i := 1; i <= t.Len(); i++ {
		out = append(out, lua.LVAsString(t.RawGetInt(i)))
	}
	return out
}

// send is moongate.send(command, block).
func (r *runtime) send(L *lua.LState) int {
	line := words(L, 1)
	if t := L.OptTable(2, nil); t != nil {
		return r.pushReply(L, func() (client.Reply, error) { return r.c.Block(L.Context(), line, stringList(L, t)) })
	}
	return r.cmd(L, line)
}

func (r *runtime) cmd(L *lua.LState, line string) int {
	return r.pushReply(L, func() (client.Reply, error) { return r.c.Cmd(L.Context(), line) })
}

// pushReply returns {text =, lines =}, or nil and the daemon's text.
func (r *runtime) pushReply(L *lua.LState, do func() (client.Reply, error)) int {
	if r.c == nil {
		return fail(L, client.ErrLost)
	}
	reply, err := do()
	if err != nil {
		return fail(L, err)
	}
	t := L.NewTable()
	t.RawSetString("text", lua.LString(reply.Text()))
	lines := L.NewTable()
	for _, l := range reply.Body() {
		lines.Append(lua.LString(l))
	}
	t.RawSetString("lines", lines)
	L.Push(t)
	return 1
}

func fail(L *lua.LState, err error) int {
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	return 2
}

// getState is moongate.get_state(): the newest state as a table.
func (r *runtime) getState(L *lua.LState) int {
	if r.c == nil {
		return fail(L, client.ErrLost)
	}
	reply, err := r.c.Cmd(L.Context(), "state")
	if err != nil {
		return fail(L, err)
	}
	body := reply.Body()
	if len(body) == 0 {
		return fail(L, errors.New("the daemon has no state"))
	}
	ev := &lib.Event{Name: "state", Note: client.Notification{Kind: mgmt.KindState, Text: body[len(body)-1]}}
	t := L.NewTable()
	for _, f := range []string{"time", "name", "detail", "tun_ipv4", "remote_addr", "remote_port", "local_addr", "local_port", "tun_ipv6"} {
		t.RawSetString(f, ev.Field(L, f))
	}
	L.Push(t)
	return 1
}

// getStatus is moongate.get_status(): clients of a server, counters of a client.
func (r *runtime) getStatus(L *lua.LState) int {
	if r.c == nil {
		return fail(L, client.ErrLost)
	}
	s, err := r.c.Status(L.Context())
	if err != nil {
		return fail(L, err)
	}
	t, clients, counters := L.NewTable(), L.NewTable(), L.NewTable()
	for _, c := range s.Clients {
		row := L.NewTable()
		for k, v := range map[string]string{"common_name": c.CommonName, "real_address": c.RealAddress, "virtual_address": c.VirtualAddress,
			"virtual_ipv6": c.VirtualIPv6, "username": c.Username, "cipher": c.Cipher} {
			row.RawSetString(k, lua.LString(v))
		}
		if cid, err := strconv.ParseUint(c.ClientID, 10, 64); err == nil {
			row.RawSetString("cid", lua.LNumber(cid))
		}
		row.RawSetString("bytes_received", lua.LNumber(c.BytesReceived))
		row.RawSetString("bytes_sent", lua.LNumber(c.BytesSent))
		row.RawSetString("connected_since", lua.LNumber(c.ConnectedSince.Unix()))
		clients.Append(row)
	}
	for _, c := range s.Counters {
		counters.RawSetString(c.Name, lua.LNumber(c.Value))
	}
	t.RawSetString("server", lua.LBool(s.Server))
	t.RawSetString("clients", clients)
	t.RawSetString("counters", counters)
	L.Push(t)
	return 1
}

// stop is moongate.stop(code): it ends the script at once.
func (r *runtime) stop(L *lua.LState) int {
	r.exitCode = L.OptInt(1, 0)
	if r.exitCode < 0 || r.exitCode > 255 {
		L.ArgError(1, "a code from 0 to 255")
	}
	r.stopped = true
	L.Error(lua.LString("stopped"), 0)
	return 0
}

// print joins its arguments by tabs, as Lua does.
func (r *runtime) print(L *lua.LState) int {
	var parts []string
	for i := 1; i <= L.GetTop(); i++ {
		parts = append(parts, L.ToStringMeta(L.Get(i)).String())
	}
	r.o.Print(strings.Join(parts, "\t"))
	return 0
}

var moduleName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// require loads NAME.lua from the script's folder, once; dots are folders.
func (r *runtime) require(L *lua.LState, dirs []string) int {
	name := L.CheckString(1)
	if v, ok := r.loaded[name]; ok {
		L.Push(v)
		return 1
	}
	if !moduleName.MatchString(name) {
		L.ArgError(1, "not a module name")
	}
	file := filepath.FromSlash(strings.ReplaceAll(name, ".", "/")) + ".lua"
	src, err := lib.ReadFile(dirs, file)
	if errors.Is(err, os.ErrNotExist) {
		L.RaiseError("module %s not found: there is no %s beside the script", name, file)
	} else if err != nil {
		L.RaiseError("%s", err.Error())
	}
	proto, err := compileSource(file, src)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	r.loaded[name] = lua.LTrue // a module that requires itself sees this
	L.Push(L.NewFunctionFromProto(proto))
	L.Push(lua.LString(name))
	L.Call(1, 1)
	if v := L.Get(-1); v != lua.LNil {
		r.loaded[name] = v
	}
	L.Pop(1)
	L.Push(r.loaded[name])
	return 1
}

// newEventMeta makes the metatable of events: fields are read lazily, methods answer prompts.
func (r *runtime) newEventMeta() *lua.LTable {
	L := r.L
	methods := make(map[string]*lua.LFunction)
	for name, fn := range map[string]func(*lua.LState, *lib.Event) int{
		"answer": r.answer, "ok": r.needOK("ok"), "cancel": r.needOK("cancel"), "admit": r.admit, "deny": r.deny,
		"pending": r.pending, "release": r.release,
	} {
		methods[name] = L.NewFunction(func(L *lua.LState) int { return fn(L, checkEvent(L)) })
	}
	meta := L.NewTable()
	meta.RawSetString("__metatable", lua.LString("event"))
	meta.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		ev, name := checkEvent(L), L.CheckString(2)
		if m, ok := methods[name]; ok {
			L.Push(m)
		} else {
			L.Push(ev.Field(L, name))
		}
		return 1
	}))
	meta.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(client.Redact(checkEvent(L).Note.String())))
		return 1
	}))
	return meta
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
	if ev.Field(L, "wants_username") == lua.LTrue {
		user := o.String("username", "")
		if user == "" {
			L.ArgError(2, "this prompt wants a username")
		}
		if n := r.cmd(L, client.Line("username", typ, user)); n != 1 || ev.Field(L, "wants_password") == lua.LFalse {
			return n
		}
		L.Pop(1)
	}
	return r.cmd(L, client.Line("password", typ, password))
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
		return r.pushReply(L, func() (client.Reply, error) {
			return r.c.Block(L.Context(), "client-auth "+cid+" "+kid, stringList(L, t))
		})
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

// release is ev:release() of a hold.
func (r *runtime) release(L *lua.LState, ev *lib.Event) int {
	if ev.Name != "hold" {
		L.RaiseError("event %s is no hold", ev.Name)
	}
	return r.cmd(L, "hold release")
}
