package sandbox

import (
	lua "github.com/yuin/gopher-lua"
)

// Sizes of a state or coroutine: small at the start, growing to a bound.
const (
	callStack    = 256
	registry     = 256
	registryStep = 4 << 10
	registryMax  = 64 << 10
)

// removed are base functions that reach files, compile text or steer the collector.
var removed = []string{
	"dofile", "loadfile", "load", "loadstring", "module", "newproxy", "collectgarbage", "require", "print", "_printregs",
}

// State is a Lua state with its bounds. Lua code runs in coroutines that have the meter as context.
type State struct {
	*lua.LState
	*Coroutines
	Meter *Meter

	nop   *lua.LFunction
	trace string // of the newest error that ended a worker
}

// NewState returns a state with base, table, string, math, coroutine, and of os only time, date and clock, of debug only traceback.
// print and require are for the caller to provide. The caller closes the state.
func NewState(limits Limits) *State {
	L := lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: callStack, RegistrySize: registry, RegistryMaxSize: registryMax, RegistryGrowStep: registryStep,
		MinimizeStackMemory: true, IncludeGoStackTrace: false,
	})
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage}, // the others register themselves in package.loaded
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath},
		{lua.CoroutineLibName, lua.OpenCoroutine},
		{lua.OsLibName, lua.OpenOs},
		{lua.DebugLibName, lua.OpenDebug},
	} {
		L.Push(L.NewFunction(lib.open))
		L.Push(lua.LString(lib.name))
		L.Call(1, 0)
	}
	g := L.G.Global
	for _, name := range removed {
		g.RawSetString(name, lua.LNil)
	}
	keep(L, lua.OsLibName, "time", "date", "clock")
	replace(L, lua.OsLibName, "date", boundedDate)
	replace(L, "_G", "tonumber", announce)
	openRandom(L)
	keep(L, lua.DebugLibName)
	L.SetFuncs(g.RawGetString(lua.DebugLibName).(*lua.LTable), map[string]lua.LGFunction{"traceback": traceback})
	g.RawSetString(lua.LoadLibName, lua.LNil)

	replace(L, "_G", "unpack", func(fn lua.LGFunction) lua.LGFunction {
		return boundResults(fn, func(L *lua.LState) int { return L.CheckTable(1).Len() })
	})
	str := g.RawGetString(lua.StringLibName).(*lua.LTable)
	str.RawSetString("dump", lua.LNil)
	for _, name := range announced {
		replace(L, lua.StringLibName, name, announce)
	}
	replace(L, lua.StringLibName, "byte", func(fn lua.LGFunction) lua.LGFunction {
		return boundResults(fn, func(L *lua.LState) int { return L.OptInt(2, 1) })
	})
	L.SetFuncs(str, boundedStrings)
	replace(L, lua.MathLibName, "max", boundNumerals)
	replace(L, lua.MathLibName, "min", boundNumerals)
	openArithmetic(L)
	L.SetFuncs(g.RawGetString(lua.TabLibName).(*lua.LTable), boundedTables)
	s := &State{LState: L, Coroutines: openCoroutines(L), Meter: newMeter(limits)}
	s.Meter.SetSize(func() int64 { return Size(L) })
	L.SetContext(s.Meter)
	return s
}

// NewWorker returns a coroutine for calls of functions, to be resumed with Worker.
func (s *State) NewWorker() *lua.LState {
	s.RemoveContext()
	th, _ := s.NewThread()
	s.SetContext(s.Meter)
	th.SetContext(s.Meter)
	if s.nop == nil {
		s.nop = s.NewFunction(func(*lua.LState) int { return 0 })
	}
	s.Resume(th, s.Worker(), s.nop) // the first start sets Panic
	th.Panic = func(L *lua.LState) {
		s.trace = Trace(L) // while the calls are still there
		panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: L.Get(-1)})
	}
	return th
}

// TakeTrace is the stack at the newest error that ended a worker, "" when it is not known.
func (s *State) TakeTrace() string {
	t := s.trace
	s.trace = ""
	return t
}

// maxResults is how many values unpack and byte return at most, about as many as in the reference implementation.
const maxResults = 8000

// boundResults limits a function that takes a first and a last index as arguments 2 and 3; end is the default of the last.
func boundResults(fn lua.LGFunction, end func(*lua.LState) int) lua.LGFunction {
	return func(L *lua.LState) int {
		from, to := L.OptInt(2, 1), 0
		if L.Get(3) == lua.LNil {
			to = end(L)
		} else if to = L.CheckInt(3); to < 0 {
			if s, ok := L.Get(1).(lua.LString); ok {
				to = len(s)
			}
		}
		if to-from >= maxResults {
			L.RaiseError("too many results: at most %d", maxResults)
		}
		return fn(L)
	}
}

// replace puts what change makes of a function of a library in its place.
func replace(L *lua.LState, library, name string, change func(lua.LGFunction) lua.LGFunction) {
	t := L.G.Global.RawGetString(library).(*lua.LTable)
	t.RawSetString(name, L.NewFunction(change(t.RawGetString(name).(*lua.LFunction).GFunction)))
}

// keep replaces library name by a table with only the named functions.
func keep(L *lua.LState, name string, functions ...string) {
	old := L.G.Global.RawGetString(name).(*lua.LTable)
	t := L.NewTable()
	for _, f := range functions {
		t.RawSetString(f, old.RawGetString(f))
	}
	L.G.Global.RawSetString(name, t)
}
