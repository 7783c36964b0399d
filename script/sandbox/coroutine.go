package sandbox

import lua "github.com/yuin/gopher-lua"

// boundCoroutines makes coroutines run under the context of whoever resumes them. By itself each has a context made from its
// creator's: a handler that was ended would end all coroutines for ever, and those never resumed to their end would stay
// registered with it.
func boundCoroutines(L *lua.LState) {
	t := L.G.Global.RawGetString(lua.CoroutineLibName).(*lua.LTable)
	original := func(name string) lua.LGFunction { return t.RawGetString(name).(*lua.LFunction).GFunction }
	create, wrap, resume := original("create"), original("wrap"), original("resume")
	L.SetFuncs(t, map[string]lua.LGFunction{
		"create": func(L *lua.LState) int { return withoutContext(L, create) },
		"resume": func(L *lua.LState) int {
			adopt(L, L.CheckThread(1))
			return resume(L)
		},
		"wrap": func(L *lua.LState) int {
			n := withoutContext(L, wrap)
			fn := L.Get(-1).(*lua.LFunction)
			step := fn.GFunction
			fn.GFunction = func(L *lua.LState) int {
				adopt(L, L.ToThread(lua.UpvalueIndex(1)))
				return step(L)
			}
			return n
		},
	})
}

// withoutContext calls f as if L had no context.
func withoutContext(L *lua.LState, f lua.LGFunction) int {
	if ctx := L.RemoveContext(); ctx != nil {
		defer L.SetContext(ctx)
	}
	return f(L)
}

// adopt gives a coroutine the context of its resumer.
func adopt(L, coroutine *lua.LState) {
	if ctx := L.Context(); ctx != nil && coroutine != L {
		coroutine.SetContext(ctx)
	}
}
