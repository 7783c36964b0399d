package sandbox

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxNumeral is the longest text that is taken as a number, in bytes. The exact value of every float64 is shorter; reading one of
// maxString takes tens of milliseconds, which nothing interrupts.
const maxNumeral = 4096

// boundNumerals makes fn, which takes any number of numbers, refuse long texts in their place.
func boundNumerals(fn lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		for arg := 1; arg <= L.GetTop(); arg++ {
			checkNumeral(L, arg)
		}
		return fn(L)
	}
}

func checkNumeral(L *lua.LState, arg int) {
	if s, ok := L.Get(arg).(lua.LString); ok && len(s) > maxNumeral {
		L.ArgError(arg, "number expected, got a string of too many bytes")
	}
}

// arithmetic of texts, as metamethods of strings: the interpreter asks these before it reads a text as a number itself.
var arithmetic = []struct {
	event, name string
	of          func(a, b float64) float64
}{
	{"__add", "add", func(a, b float64) float64 { return a + b }},
	{"__sub", "sub", func(a, b float64) float64 { return a - b }},
	{"__mul", "mul", func(a, b float64) float64 { return a * b }},
	{"__div", "div", func(a, b float64) float64 { return a / b }},
	{"__mod", "mod", func(a, b float64) float64 {
		m := math.Mod(a, b)
		if b > 0 && m < 0 || b < 0 && m > 0 {
			m += b
		}
		return m
	}},
	{"__pow", "pow", math.Pow},
}

func openArithmetic(L *lua.LState) {
	mt := L.GetMetatable(lua.LString("")).(*lua.LTable)
	for _, op := range arithmetic {
		mt.RawSetString(op.event, L.NewFunction(func(L *lua.LState) int {
			a, b := L.Get(1), L.Get(2)
			if other := ofAnother(L, a, b, op.event); other != lua.LNil {
				L.Push(other)
				L.Push(a)
				L.Push(b)
				L.Call(2, 1)
				return 1
			}
			x, ok := numeral(a)
			y, also := numeral(b)
			if !ok || !also {
				L.RaiseError("cannot perform %s operation between %s and %s", op.name, a.Type(), b.Type())
			}
			L.Push(lua.LNumber(op.of(x, y)))
			return 1
		}))
	}
}

// ofAnother is the metamethod of the operand that is no string, LNil when it has none.
func ofAnother(L *lua.LState, a, b lua.LValue, event string) lua.LValue {
	for _, v := range []lua.LValue{a, b} {
		if v.Type() != lua.LTString {
			return L.GetMetaField(v, event)
		}
	}
	return lua.LNil
}

// numeral is the number that v is or says, by the interpreter's rules.
func numeral(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		if len(v) > maxNumeral {
			return 0, false
		}
		text := strings.Trim(string(v), " \t\n")
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return float64(n), true
		}
		n, err := strconv.ParseFloat(text, 64)
		return n, err == nil
	}
	return 0, false
}
