package sandbox

import (
	_ "embed"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

//go:embed prelude.lua
var prelude string

// preludeName is the source name of the prelude.
const preludeName = Hidden

// Hidden is the source name of files of ours: no error and no trace shows it.
const Hidden = "\x01"

// Coroutines are the parts of the prelude that the runtime uses.
type Coroutines struct {
	Wait *lua.LUserData // first value of a yield that asks the runtime for something
	Done *lua.LUserData // first value of a yield of a worker that finished a call

	worker, waiting, requirer *lua.LFunction
}

// named finds the name that the prelude has for a function, in an error about its argument.
var named = regexp.MustCompile(`^(bad argument #\d+) to \w+ \(`)

// nameless is gopher-lua's name of a function that a coroutine, or pcall, begins with.
const nameless = " to corountine ("

// maxNesting is how deep coroutines may resume each other, pcall included: each level is one of Go's stack.
const maxNesting = 160

// openCoroutines replaces the coroutine library, pcall and xpcall by functions that can wait (prelude.lua).
func openCoroutines(L *lua.LState) *Coroutines {
	c := &Coroutines{Wait: L.NewUserData(), Done: L.NewUserData()}
	lib := L.G.Global.RawGetString(lua.CoroutineLibName).(*lua.LTable)
	original := func(name string) lua.LGFunction { return lib.RawGetString(name).(*lua.LFunction).GFunction }
	native := func(name string, fn lua.LGFunction) lua.LValue { return L.NewFunction(fromPrelude(name, fn)) }
	fn, err := L.Load(strings.NewReader(prelude), preludeName)
	if err != nil {
		panic(err)
	}
	L.Push(fn)
	for _, v := range []lua.LValue{ // the parameters of the prelude
		native("yield", rawYield), native("resume", rawResume(original("resume"))), native("create", rawCreate(original("create"))),
		lib.RawGetString("status"), c.Wait, c.Done, L.NewFunction(finish), L.NewFunction(isCallable), L.NewFunction(isNative),
		L.GetGlobal("error"), L.GetGlobal("type"),
	} {
		L.Push(v)
	}
	L.Call(11, 9)
	for i, set := range []func(*lua.LFunction){
		func(f *lua.LFunction) { lib.RawSetString("yield", f) },
		func(f *lua.LFunction) { lib.RawSetString("resume", f) },
		func(f *lua.LFunction) { lib.RawSetString("create", f) },
		func(f *lua.LFunction) { lib.RawSetString("wrap", f) },
		func(f *lua.LFunction) { L.G.Global.RawSetString("pcall", f) },
		func(f *lua.LFunction) { L.G.Global.RawSetString("xpcall", f) },
		func(f *lua.LFunction) { c.worker = f },
		func(f *lua.LFunction) { c.waiting = f },
		func(f *lua.LFunction) { c.requirer = f },
	} {
		set(L.Get(i - 9).(*lua.LFunction))
	}
	L.Pop(9)
	lib.RawSetString("running", L.NewFunction(running))
	return c
}

// rawCreate is gopher-lua's create, with the memory counted and the context of the script.
func rawCreate(create lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		Spend(L, sizeOfThread)
		ctx := L.RemoveContext() // else the coroutine's would be a child of it, registered for ever
		n := create(L)
		if ctx != nil {
			L.SetContext(ctx)
			L.CheckThread(-1).SetContext(ctx)
		}
		return n
	}
}

// rawResume is gopher-lua's resume within bounds, and with errors that name the functions as scripts know them.
func rawResume(resume lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		for up, th := L, L.CheckThread(1); up != nil; up = up.Parent {
			if up == th { // gopher-lua would run it a second time, in the middle of what it does
				L.Push(lua.LFalse)
				L.Push(lua.LString("cannot resume a coroutine that is not suspended"))
				return 2
			}
		}
		m := meterOf(L)
		if m == nil {
			return resume(L)
		}
		if m.nesting >= maxNesting {
			L.RaiseError("stack overflow: coroutines and pcall nest deeper than %d levels", maxNesting)
		}
		m.nesting++
		defer func() { m.nesting-- }()
		n := resume(L)
		if text, ok := L.Get(-1).(lua.LString); ok && n == 2 && L.Get(-2) == lua.LFalse {
			rest, ours := Inside(strings.Replace(string(text), nameless, " (", 1))
			if ours { // of a function in Go that the coroutine begins with
				rest = named.ReplaceAllString(rest, "$1 (")
			}
			L.Pop(1)
			L.Push(lua.LString(rest))
		}
		return n
	}
}

// rawYield yields where it can.
func rawYield(L *lua.LState) int {
	if L.Parent == nil {
		L.RaiseError("attempt to yield from outside a coroutine")
	}
	checkPlain(L)
	return -1
}

// finish yields without a look around: the worker's own yield stands where it may.
func finish(*lua.LState) int { return -1 }

// isCallable reports whether a value has a __call metamethod that is a function.
func isCallable(L *lua.LState) int {
	L.Push(lua.LBool(L.GetMetaField(L.Get(1), "__call").Type() == lua.LTFunction))
	return 1
}

// isNative reports whether a value is a function in Go.
func isNative(L *lua.LState) int {
	fn, ok := L.Get(1).(*lua.LFunction)
	L.Push(lua.LBool(ok && fn.IsG))
	return 1
}

// checkPlain raises when L's coroutine cannot yield here: gopher-lua runs metamethods, iterators and functions that Go code calls
// in an interpreter loop of their own, which a yield would leave half done.
func checkPlain(L *lua.LState) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for loops := 0; ; {
		f, more := frames.Next()
		switch {
		case strings.HasSuffix(f.Function, "gopher-lua.threadRun"):
			return
		case strings.Contains(f.Function, "gopher-lua.mainLoop"):
			if loops++; loops > 1 {
				L.RaiseError("cannot wait inside a metamethod, an iterator of for, or a function that sort or gsub calls")
			}
		}
		if !more {
			return
		}
	}
}

// Worker is the function of coroutines that run one call after the other: resume it with a function and an argument, and
// it yields Done and the results.
func (c *Coroutines) Worker() *lua.LFunction { return c.worker }

// Waiting makes fn, called name in errors, a function that may yield: fn returns the number of its results, or what Ask returns.
func (c *Coroutines) Waiting(L *lua.LState, name string, fn lua.LGFunction) *lua.LFunction {
	L.Push(c.waiting)
	L.Push(L.NewFunction(fromPrelude(name, fn)))
	L.Call(1, 1)
	f := L.Get(-1).(*lua.LFunction)
	L.Pop(1)
	return f
}

// Require makes the function require: find returns a module, or nil and the function that makes it; keep gets a name and what
// that function returned, and returns the module.
func (c *Coroutines) Require(L *lua.LState, find, keep lua.LGFunction) *lua.LFunction {
	L.Push(c.requirer)
	L.Push(L.NewFunction(fromPrelude("require", find)))
	L.Push(L.NewFunction(keep))
	L.Call(2, 1)
	f := L.Get(-1).(*lua.LFunction)
	L.Pop(1)
	return f
}

// Ask yields to the runtime with a request. The runtime resumes with the results.
func (c *Coroutines) Ask(L *lua.LState, request any) int {
	if L.Parent == nil {
		L.RaiseError("cannot wait here")
	}
	checkPlain(L)
	ud := L.NewUserData()
	ud.Value = request
	return L.Yield(c.Wait, ud)
}

// fromPrelude makes the errors of a function that the prelude calls those of the prelude's caller.
func fromPrelude(name string, fn lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		defer func() {
			if r := recover(); r != nil {
				panic(atCaller(L, name, r))
			}
		}()
		return fn(L)
	}
}

// atCaller moves an error from the prelude to the line that called it.
func atCaller(L *lua.LState, name string, r any) any {
	e, ok := r.(*lua.ApiError)
	if !ok {
		return r
	}
	text, ok := e.Object.(lua.LString)
	if !ok || !strings.HasPrefix(string(text), preludeName+":") {
		return r
	}
	_, rest, _ := strings.Cut(string(text), ": ")
	e.Object = lua.LString(Where(L) + named.ReplaceAllString(rest, "$1 to "+name+" ("))
	return e
}

// Where is "FILE:LINE: " of the innermost line of a script that L executes, or was executing when it died; "" without any.
func Where(L *lua.LState) string {
	for level := range maxLevels {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("Sl", frame, lua.LNil); err == nil && frame.What != "G" && frame.CurrentLine > 0 && frame.Source != preludeName {
			return fmt.Sprintf("%s:%d: ", frame.Source, frame.CurrentLine)
		}
	}
	return ""
}

// maxLevels is how far down a stack is looked at: tail calls count as levels, and there may be millions of them.
const maxLevels = 1000

// Inside reports whether the text of an error names a line of the prelude, and returns the rest of it.
func Inside(text string) (rest string, ok bool) {
	if !strings.HasPrefix(text, preludeName+":") {
		return text, false
	}
	_, rest, _ = strings.Cut(text, ": ")
	return rest, true
}

// maxTrace is how many calls a trace shows.
const maxTrace = 20

// Trace is the stack of L, also of one that died: a call a line, the prelude's left out.
func Trace(L *lua.LState) string {
	var b strings.Builder
	for level, n := 0, 0; n < maxTrace && level < maxLevels; level++ {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("nSl", frame, lua.LNil); err != nil || frame.What == "G" || frame.Source == preludeName {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		n++
		fmt.Fprintf(&b, "%s:%d: in ", frame.Source, frame.CurrentLine)
		switch {
		case frame.What == "main":
			b.WriteString("main chunk")
		case frame.Name != "" && frame.Name != "fn" && frame.Name != "?":
			fmt.Fprintf(&b, "function '%s'", frame.Name)
		default:
			fmt.Fprintf(&b, "function <%s:%d>", frame.Source, frame.LineDefined)
		}
	}
	return b.String()
}

// traceback is debug.traceback(message).
func traceback(L *lua.LState) int {
	text := "stack traceback:\n\t" + strings.ReplaceAll(Trace(L), "\n", "\n\t")
	if v := L.Get(1); v != lua.LNil {
		text = L.ToStringMeta(v).String() + "\n" + text
	}
	L.Push(lua.LString(text))
	return 1
}
