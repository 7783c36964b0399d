package sandbox

import (
	lua "github.com/yuin/gopher-lua"
)

// Sizes of a state: small at the start, growing to a bound.
const (
	callStack   = 256
	registry    = 1024
	registryMax = 256 << 10
)

// removed are base functions that reach files, compile text or steer the collector.
var removed = []string{
	"dofile", "loadfile", "load", "loadstring", "module", "newproxy", "collectgarbage", "require", "print", "_printregs",
}

// NewState returns a state with base, table, string, math, coroutine, and of os only time, date and clock, of debug only traceback.
// print and require are for the caller to provide. The caller closes the state.
func NewState() *lua.LState {
	L := lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: callStack, RegistrySize: registry, RegistryMaxSize: registryMax, RegistryGrowStep: 8 << 10,
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
	keep(L, lua.DebugLibName, "traceback")
	g.RawSetString(lua.LoadLibName, lua.LNil)

	boundCoroutines(L)

	str := g.RawGetString(lua.StringLibName).(*lua.LTable)
	str.RawSetString("dump", lua.LNil)
	L.SetFuncs(str, boundedStrings)
	g.RawGetString(lua.TabLibName).(*lua.LTable).RawSetString("concat", L.NewFunction(concat))
	return L
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
