package lib

import (
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// OptionTable is the last, optional table argument of a function.
type OptionTable struct {
	l *lua.LState
	t *lua.LTable
}

// Options reads argument arg as an option table; unknown keys raise.
func Options(L *lua.LState, arg int, known ...string) OptionTable {
	if L.Get(arg) == lua.LNil {
		return OptionTable{L, L.NewTable()}
	}
	t := L.CheckTable(arg)
	t.ForEach(func(k, _ lua.LValue) {
		if name, ok := k.(lua.LString); !ok || !slices.Contains(known, string(name)) {
			L.ArgError(arg, "unknown option "+Short(k.String()))
		}
	})
	return OptionTable{L, t}
}

// Number returns option name, or def when it is not there.
func (o OptionTable) Number(name string, def float64) float64 {
	switch v := o.t.RawGetString(name).(type) {
	case *lua.LNilType:
		return def
	case lua.LNumber:
		return float64(v)
	default:
		o.l.RaiseError("option %s: number expected, got %s", name, v.Type().String())
		return def
	}
}

// String returns option name, or def when it is not there.
func (o OptionTable) String(name, def string) string {
	switch v := o.t.RawGetString(name).(type) {
	case *lua.LNilType:
		return def
	case lua.LString:
		return string(v)
	default:
		o.l.RaiseError("option %s: string expected, got %s", name, v.Type().String())
		return def
	}
}
