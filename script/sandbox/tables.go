package sandbox

import (
	"sort"

	lua "github.com/yuin/gopher-lua"
)

// boundedTables replaces the functions of the table library that work as long as their table is large.
var boundedTables = map[string]lua.LGFunction{"concat": concat, "insert": insert, "remove": remove, "sort": sortTable}

const valueSize = 16 // bytes of an array entry

func insert(L *lua.LState) int {
	t := L.CheckTable(1)
	n := t.Len()
	if n >= maxList-1 {
		L.RaiseError("list too long: at most %d entries", maxList-1)
	}
	switch L.GetTop() {
	case 2:
		if v := L.Get(2); v != lua.LNil {
			t.RawSetInt(n+1, v)
		}
	case 3:
		i := L.CheckInt(2)
		if i < 1 || i > n+1 {
			L.ArgError(2, "position out of bounds")
		}
		Spend(L, valueSize*(n-i+1))
		t.Insert(i, L.Get(3))
	default:
		L.RaiseError("wrong number of arguments to insert")
	}
	return 0
}

func remove(L *lua.LState) int {
	t := L.CheckTable(1)
	n := t.Len()
	i := L.OptInt(2, n)
	if n == 0 || i < 1 || i > n {
		L.Push(lua.LNil)
		return 1
	}
	Spend(L, valueSize*(n-i+1))
	L.Push(t.Remove(i))
	return 1
}

// sorter compares under the meter.
type sorter struct {
	l      *lua.LState
	fn     *lua.LFunction
	values []lua.LValue
}

// Len implements sort.Interface.
func (s *sorter) Len() int { return len(s.values) }

// Swap implements sort.Interface.
func (s *sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

// Less implements sort.Interface.
func (s *sorter) Less(i, j int) bool {
	Spend(s.l, perCredit)
	if s.fn == nil {
		return s.l.LessThan(s.values[i], s.values[j])
	}
	s.l.Push(s.fn)
	s.l.Push(s.values[i])
	s.l.Push(s.values[j])
	s.l.Call(2, 1)
	less := lua.LVAsBool(s.l.Get(-1))
	s.l.Pop(1)
	return less
}

func sortTable(L *lua.LState) int {
	t := L.CheckTable(1)
	s := &sorter{l: L}
	if L.Get(2) != lua.LNil {
		s.fn = L.CheckFunction(2)
	}
	n := t.Len()
	Spend(L, 2*valueSize*n)
	s.values = make([]lua.LValue, n)
	for i := range s.values {
		s.values[i] = t.RawGetInt(i + 1)
	}
	sort.Sort(s)
	for i, v := range s.values {
		t.RawSetInt(i+1, v)
	}
	return 0
}
