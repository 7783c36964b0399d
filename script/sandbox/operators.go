package sandbox

import (
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// maxList is the length of the longest list: the room of gopher-lua's array part. Longer tables are hashed.
const maxList = 1<<17 - 1

func init() { lua.MaxArrayIndex = maxList + 1 }

// meterOf is the meter of L, or of none: a state that nothing bounds.
func meterOf(L *lua.LState) *Meter {
	m, _ := L.Context().(*Meter)
	return m
}

// Spend announces that a function in Go touches so many bytes; it raises when there is no time left.
func Spend(L *lua.LState, bytes int) {
	if m := meterOf(L); m != nil && !m.Spent(bytes) {
		L.RaiseError("%s", m.Err().Error())
	}
}

// Blocked calls f, which may wait for a disk, and announces how long it took.
func Blocked(L *lua.LState, f func()) {
	begin := time.Now()
	f()
	if m := meterOf(L); m != nil {
		m.Blocked(time.Since(begin))
	}
}

// concatOperator is "..": of strings and numbers in one piece, from the right where a metamethod takes part.
func concatOperator(L *lua.LState) int {
	n := L.GetTop()
	total := 0
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case lua.LString:
			total += len(v)
		case lua.LNumber:
			total += 8
		default:
			return concatByPairs(L)
		}
	}
	if total > maxString {
		L.RaiseError("resulting string too large")
	}
	if total > perCredit {
		Spend(L, total)
	}
	if n == 2 {
		L.Push(lua.LString(lua.LVAsString(L.Get(1)) + lua.LVAsString(L.Get(2))))
		return 1
	}
	var b strings.Builder
	b.Grow(total)
	for i := 1; i <= n; i++ {
		b.WriteString(lua.LVAsString(L.Get(i)))
	}
	L.Push(lua.LString(b.String()))
	return 1
}

func concatByPairs(L *lua.LState) int {
	right := L.Get(L.GetTop())
	for i := L.GetTop() - 1; i >= 1; i-- {
		left := L.Get(i)
		if lua.LVCanConvToString(left) && lua.LVCanConvToString(right) {
			a, b := lua.LVAsString(left), lua.LVAsString(right)
			if len(a)+len(b) > maxString {
				L.RaiseError("resulting string too large")
			}
			Spend(L, len(a)+len(b))
			right = lua.LString(a + b)
			continue
		}
		op := L.GetMetaField(left, "__concat")
		if op == lua.LNil {
			op = L.GetMetaField(right, "__concat")
		}
		if op == lua.LNil {
			bad := left
			if lua.LVCanConvToString(left) {
				bad = right
			}
			L.RaiseError("attempt to concatenate a %s value", bad.Type().String())
		}
		L.Push(op)
		L.Push(left)
		L.Push(right)
		L.Call(2, 1)
		right = L.Get(-1)
		L.Pop(1)
	}
	L.Push(right)
	return 1
}

// lenOperator is "#".
func lenOperator(L *lua.LState) int {
	switch v := L.Get(1).(type) {
	case lua.LString:
		L.Push(lua.LNumber(len(v)))
		return 1
	case *lua.LTable:
		if v.Metatable != lua.LNil {
			if op := L.GetMetaField(v, "__len"); op != lua.LNil {
				L.Push(op)
				L.Push(v)
				L.Call(1, 1)
				return 1
			}
		}
		n := v.Len()
		if n >= maxList {
			L.RaiseError("list too long: at most %d entries", maxList-1)
		}
		L.Push(lua.LNumber(n))
		return 1
	default:
		if op := L.GetMetaField(v, "__len"); op != lua.LNil {
			L.Push(op)
			L.Push(v)
			L.Call(1, 1)
			return 1
		}
		L.RaiseError("attempt to get length of a %s value", v.Type().String())
		return 0
	}
}
