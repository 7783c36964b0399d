package sandbox

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxString is the longest string our functions build, in bytes.
const maxString = 8 << 20

// boundedStrings replaces the functions of the string table whose work or result is unbounded.
var boundedStrings = map[string]lua.LGFunction{
	"find":   func(L *lua.LState) int { return find(L, true) },
	"match":  func(L *lua.LState) int { return find(L, false) },
	"gmatch": gmatch,
	"gfind":  gmatch,
	"gsub":   gsub,
	"rep":    rep,
	"format": format,
}

// announced are functions of the string table that work as long as their first argument is.
var announced = []string{"upper", "lower", "reverse", "byte", "sub"}

// announce makes fn tell the meter about its work.
func announce(fn lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		if s, ok := L.Get(1).(lua.LString); ok && len(s) > perCredit {
			Spend(L, len(s))
		}
		return fn(L)
	}
}

// start turns Lua's optional init argument into an offset into a string of n bytes.
func start(L *lua.LState, arg, n int) int {
	i := L.OptInt(arg, 1)
	switch {
	case i > 0:
		i--
	case i < 0:
		i = max(0, n+i)
	}
	return min(i, n)
}

func mustMatcher(L *lua.LState, src, pat string) *matcher {
	m, err := newMatcher(meterOf(L), src, pat)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return m
}

func mustMatch(L *lua.LState, m *matcher, s, p int) int {
	end, err := m.match(s, p)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	return end
}

// captureValue is capture i of a match, the whole match when the pattern has none.
func (m *matcher) captureValue(L *lua.LState, i, s, e int) lua.LValue {
	if i >= m.level {
		if i == 0 {
			return lua.LString(m.src[s:e])
		}
		L.RaiseError("invalid capture index")
	}
	switch c := m.caps[i]; c.len {
	case captureOpen:
		L.RaiseError("unfinished capture")
	case capturePosition:
		return lua.LNumber(c.start + 1)
	default:
		return lua.LString(m.src[c.start : c.start+c.len])
	}
	return lua.LNil
}

// pushCaptures pushes all captures; the whole match when there are none and whole is set.
func (m *matcher) pushCaptures(L *lua.LState, s, e int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		L.Push(m.captureValue(L, i, s, e))
	}
	return n
}

func find(L *lua.LState, positions bool) int {
	src, pat := L.CheckString(1), L.CheckString(2)
	if L.OptInt(3, 1) > len(src)+1 {
		L.Push(lua.LNil)
		return 1
	}
	s := start(L, 3, len(src))
	if positions && (L.ToBool(4) || !strings.ContainsAny(pat, "^$*+?.([%-")) {
		Spend(L, len(src)-s)
		i := strings.Index(src[s:], pat)
		if i < 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(s + i + 1))
		L.Push(lua.LNumber(s + i + len(pat)))
		return 2
	}
	m := mustMatcher(L, src, pat)
	p := 0
	anchored := strings.HasPrefix(pat, "^")
	if anchored {
		p = 1
	}
	for ; s <= len(src); s++ {
		if e := mustMatch(L, m, s, p); e >= 0 {
			if positions {
				L.Push(lua.LNumber(s + 1))
				L.Push(lua.LNumber(e))
				return 2 + m.pushCaptures(L, s, e, false)
			}
			return m.pushCaptures(L, s, e, true)
		}
		if anchored {
			break
		}
	}
	L.Push(lua.LNil)
	return 1
}

func gmatch(L *lua.LState) int {
	src, pat := L.CheckString(1), L.CheckString(2)
	at := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		m := mustMatcher(L, src, pat)
		for ; at <= len(src); at++ {
			e := mustMatch(L, m, at, 0)
			if e < 0 {
				continue
			}
			s := at
			at = e
			if e == s {
				at++
			}
			return m.pushCaptures(L, s, e, true)
		}
		return 0
	}))
	return 1
}

func gsub(L *lua.LState) int {
	src, pat := L.CheckString(1), L.CheckString(2)
	repl := L.CheckAny(3)
	switch repl.Type() {
	case lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction:
	default:
		L.ArgError(3, "string, function or table expected")
	}
	limit := math.MaxInt
	if L.Get(4) != lua.LNil {
		limit = L.CheckInt(4)
	}
	m := mustMatcher(L, src, pat)
	p := 0
	anchored := strings.HasPrefix(pat, "^")
	if anchored {
		p = 1
	}
	var b strings.Builder
	n, s := 0, 0
	for n < limit {
		e := mustMatch(L, m, s, p)
		if e >= 0 {
			n++
			m.replace(L, &b, repl, s, e)
		}
		switch {
		case e > s:
			s = e
		case s < len(src):
			b.WriteByte(src[s])
			s++
		default:
			s++
		}
		if b.Len() > maxString {
			L.RaiseError("resulting string too large")
		}
		if s > len(src) || anchored {
			break
		}
	}
	if s < len(src) {
		b.WriteString(src[s:])
	}
	Spend(L, len(src)+b.Len())
	L.Push(lua.LString(b.String()))
	L.Push(lua.LNumber(n))
	return 2
}

// replace appends the replacement of the match src[s:e].
func (m *matcher) replace(L *lua.LState, b *strings.Builder, repl lua.LValue, s, e int) {
	var v lua.LValue
	switch r := repl.(type) {
	case *lua.LFunction:
		level, caps := m.level, m.caps // the function may run other patterns, not this matcher
		n := max(1, level)
		args := make([]lua.LValue, n)
		for i := range n {
			args[i] = m.captureValue(L, i, s, e)
		}
		L.Push(r)
		for _, a := range args {
			L.Push(a)
		}
		L.Call(n, 1)
		v = L.Get(-1)
		L.Pop(1)
		m.level, m.caps = level, caps
	case *lua.LTable:
		v = L.GetTable(r, m.captureValue(L, 0, s, e))
	default:
		m.expand(L, b, lua.LVAsString(repl), s, e)
		return
	}
	switch {
	case lua.LVIsFalse(v):
		b.WriteString(m.src[s:e])
	case v.Type() == lua.LTString || v.Type() == lua.LTNumber:
		b.WriteString(lua.LVAsString(v))
	default:
		L.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
}

// expand appends a replacement string, %0 to %9 filled in.
func (m *matcher) expand(L *lua.LState, b *strings.Builder, r string, s, e int) {
	for i := 0; i < len(r); i++ {
		if r[i] != '%' {
			b.WriteByte(r[i])
			continue
		}
		i++
		switch {
		case i == len(r):
			b.WriteByte('%')
		case r[i] == '0':
			b.WriteString(m.src[s:e])
		case r[i] >= '1' && r[i] <= '9':
			b.WriteString(lua.LVAsString(m.captureValue(L, int(r[i]-'1'), s, e)))
		default:
			b.WriteByte(r[i])
		}
		if b.Len() > maxString {
			return // gsub raises
		}
	}
}

func rep(L *lua.LState) int {
	s, n := L.CheckString(1), L.CheckInt(2)
	if n <= 0 || s == "" {
		L.Push(lua.LString(""))
		return 1
	}
	if n > maxString/len(s) {
		L.RaiseError("resulting string too large")
	}
	Spend(L, n*len(s))
	L.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

// concat is table.concat with a bounded result.
func concat(L *lua.LState) int {
	t := L.CheckTable(1)
	sep := L.OptString(2, "")
	i, j := L.OptInt(3, 1), L.OptInt(4, t.Len())
	var b strings.Builder
	for k := i; k <= j; k++ {
		v := L.GetTable(t, lua.LNumber(k))
		Spend(L, perCredit/8)
		if v.Type() != lua.LTString && v.Type() != lua.LTNumber {
			L.RaiseError("invalid value (%s) at index %d in table for concat", v.Type().String(), k)
		}
		b.WriteString(lua.LVAsString(v))
		if k < j {
			b.WriteString(sep)
		}
		if b.Len() > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	Spend(L, b.Len())
	L.Push(lua.LString(b.String()))
	return 1
}

// format is string.format: width and precision have at most two digits, as in C Lua.
func format(L *lua.LState) int {
	f := L.CheckString(1)
	arg := 1
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		i++
		if i < len(f) && f[i] == '%' {
			b.WriteByte('%')
			continue
		}
		from := i
		for i < len(f) && strings.IndexByte("-+ #0", f[i]) >= 0 {
			i++
		}
		if i-from > 5 {
			L.RaiseError("invalid format (repeated flags)")
		}
		i = digits(L, f, i)
		if i < len(f) && f[i] == '.' {
			i = digits(L, f, i+1)
		}
		if i >= len(f) {
			L.RaiseError("invalid option in format: it ends inside '%%'")
		}
		arg++
		spec := "%" + f[from:i]
		if strings.IndexByte("diucxXoeEfgG", f[i]) >= 0 {
			checkNumeral(L, arg)
		}
		switch c := f[i]; c {
		case 'd', 'i':
			fmt.Fprintf(&b, spec+"d", int64(L.CheckNumber(arg)))
		case 'u':
			fmt.Fprintf(&b, spec+"d", uint64(int64(L.CheckNumber(arg))))
		case 'c':
			b.WriteByte(byte(L.CheckInt(arg)))
		case 'x', 'X', 'o':
			fmt.Fprintf(&b, spec+string(c), uint64(int64(L.CheckNumber(arg))))
		case 'e', 'E', 'f', 'g', 'G':
			fmt.Fprintf(&b, spec+string(c), float64(L.CheckNumber(arg)))
		case 'q':
			s := L.CheckString(arg)
			if b.Len()+len(s) > maxString/4 { // a byte becomes four at most
				L.RaiseError("resulting string too large")
			}
			quote(&b, s)
		case 's':
			fmt.Fprintf(&b, spec+"s", L.ToStringMeta(L.CheckAny(arg)).String())
		default:
			L.RaiseError("invalid option '%%%s' in format", string(c))
		}
		if b.Len() > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	Spend(L, b.Len())
	L.Push(lua.LString(b.String()))
	return 1
}

// digits skips at most two digits at i.
func digits(L *lua.LState, f string, i int) int {
	from := i
	for i < len(f) && f[i] >= '0' && f[i] <= '9' {
		i++
	}
	if i-from > 2 {
		L.RaiseError("invalid format (width or precision too long)")
	}
	return i
}

// quote writes s so that the Lua parser reads it back.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString("\\n")
		case '\r':
			b.WriteString("\\r")
		case 0:
			b.WriteString("\\000")
		default:
			if c < 0x20 || c == 0x7f {
				b.WriteString("\\" + fmt.Sprintf("%03s", strconv.Itoa(int(c))))
			} else {
				b.WriteByte(c)
			}
		}
	}
	b.WriteByte('"')
}
