package lib

import (
	"sort"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Bounds of a table as it is shown.
const (
	maxShown      = 8 << 10 // bytes together
	maxShownText  = 1 << 10 // of a text in a table
	maxShownDepth = 4
	maxShownKeys  = 100 // of a table
)

// Clipper cuts a text to so many bytes as Clip does, and hides the secrets in it, also one that would be cut.
type Clipper func(text string, most int) string

// Show is a value as people read it, in some most bytes: a table that says nothing about itself by __tostring is shown with what it holds.
func Show(L *lua.LState, v lua.LValue, most int, clip Clipper) string {
	t, ok := v.(*lua.LTable)
	if !ok || L.GetMetaField(t, "__tostring") != lua.LNil {
		return clip(L.ToStringMeta(v).String(), most)
	}
	s := shower{l: L, clip: clip}
	s.table(t, 0)
	return s.b.String()
}

type shower struct {
	l    *lua.LState
	clip Clipper
	b    strings.Builder
}

func (s *shower) value(v lua.LValue, depth int) {
	sandbox.Spend(s.l, workOfValue)
	switch v := v.(type) {
	case lua.LString:
		s.text(string(v))
	case *lua.LTable:
		if s.l.GetMetaField(v, "__tostring") != lua.LNil {
			s.text(s.l.ToStringMeta(v).String())
		} else {
			s.table(v, depth)
		}
	case *lua.LFunction, *lua.LState:
		s.b.WriteString(v.Type().String())
	default:
		s.b.WriteString(s.clip(s.l.ToStringMeta(v).String(), maxShownText))
	}
}

func (s *shower) text(text string) {
	s.b.WriteString(strconv.Quote(s.clip(text, maxShownText)))
}

func (s *shower) table(t *lua.LTable, depth int) {
	if depth >= maxShownDepth {
		s.b.WriteString("{…}")
		return
	}
	n, entries := t.Len(), 0
	next := func() bool {
		more := entries < maxShownKeys && s.b.Len() < maxShown
		switch {
		case entries == 0 && more:
		case more:
			s.b.WriteString(", ")
		case entries == 0:
			s.b.WriteString("…")
		default:
			s.b.WriteString(", …")
		}
		entries++
		return more
	}
	s.b.WriteByte('{')
	defer s.b.WriteByte('}')
	for i := 1; i <= n; i++ {
		if !next() {
			return
		}
		s.value(t.RawGetInt(i), depth+1)
	}
	for _, k := range s.keys(t, n) {
		if !next() {
			return
		}
		if name, ok := k.(lua.LString); ok && plainName(string(name)) {
			s.b.WriteString(s.clip(string(name), maxShort))
		} else {
			s.b.WriteByte('[')
			s.value(k, depth+1)
			s.b.WriteByte(']')
		}
		s.b.WriteString(" = ")
		s.value(t.RawGet(k), depth+1)
	}
}

// keys are those of t behind its list of n values, names in their order first; one more than is shown at the most.
func (s *shower) keys(t *lua.LTable, n int) []lua.LValue {
	var keys []lua.LValue
	for k, _ := t.Next(lua.LNil); k != lua.LNil && len(keys) <= maxShownKeys; k, _ = t.Next(k) {
		sandbox.Spend(s.l, workOfValue)
		if i, ok := k.(lua.LNumber); ok && i >= 1 && i <= lua.LNumber(n) && i == lua.LNumber(int(i)) {
			continue
		}
		keys = append(keys, k)
	}
	sort.SliceStable(keys, func(i, j int) bool {
		a, isA := keys[i].(lua.LString)
		b, isB := keys[j].(lua.LString)
		return isA && (!isB || a < b)
	})
	return keys
}

// plainName reports whether a key can stand without brackets.
func plainName(name string) bool {
	if name == "" || len(name) > maxShort {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}
