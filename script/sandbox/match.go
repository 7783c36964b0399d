package sandbox

import (
	"errors"
	"fmt"
)

// Limits of one call of a pattern function.
const (
	maxCaptures = 32
	maxPattern  = 4096     // bytes
	stepBudget  = 20 << 20 // single character tests
	stepsPerAsk = 1024     // between looks at the meter
)

// ErrBudget is raised when a pattern takes too many steps on its subject.
var ErrBudget = errors.New("pattern too complex for its subject")

// Lengths of captures that are not strings.
const (
	captureOpen     = -1
	capturePosition = -2
)

type capture struct{ start, len int }

// matcher runs one pattern over one subject. It is Lua 5.1's pattern language: classes, sets, * + - ?, captures,
// %b, %f, back references, anchors. Recursion goes no deeper than the pattern has items.
type matcher struct {
	meter *Meter // nil: no bound but the steps
	src   string
	pat   string
	steps int
	ask   int // steps at which the meter is asked next
	level int
	caps  [maxCaptures]capture
}

// patternError is a malformed pattern; it unwinds the matcher as a panic and is returned by match.
type patternError struct{ error }

func newMatcher(meter *Meter, src, pat string) (*matcher, error) {
	if len(pat) > maxPattern {
		return nil, fmt.Errorf("pattern longer than %d bytes", maxPattern)
	}
	return &matcher{meter: meter, src: src, pat: pat, ask: stepsPerAsk}, nil
}

// match tries the pattern from offset p of the pattern at offset s of the subject and returns the end of the match, or -1.
func (m *matcher) match(s, p int) (end int, err error) {
	defer func() {
		if r := recover(); r != nil {
			pe, ok := r.(patternError)
			if !ok {
				panic(r)
			}
			end, err = -1, pe.error
		}
	}()
	m.level = 0
	return m.do(s, p), nil
}

func (m *matcher) fail(format string, args ...any) { panic(patternError{fmt.Errorf(format, args...)}) }

// step counts work and ends the match when it is too much or the script's time is over.
func (m *matcher) step() {
	m.steps++
	if m.steps < m.ask {
		return
	}
	m.ask = m.steps + stepsPerAsk
	if m.steps > stepBudget {
		panic(patternError{ErrBudget})
	}
	if m.meter != nil && !m.meter.Spent(between*perCredit) {
		panic(patternError{m.meter.Err()})
	}
}

// do matches the pattern from p on; single items without suffix are handled in the loop.
func (m *matcher) do(s, p int) int {
	for {
		m.step()
		if p == len(m.pat) {
			return s
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.startCapture(s, p+2, capturePosition)
			}
			return m.startCapture(s, p+1, captureOpen)
		case ')':
			return m.endCapture(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if rest, next, ok := m.escape(s, p); ok {
				if rest < 0 {
					return -1
				}
				s, p = rest, next
				continue
			}
		}
		ep := m.classEnd(p)
		var suffix byte
		if ep < len(m.pat) {
			suffix = m.pat[ep]
		}
		switch suffix {
		case '?':
			if m.single(s, p, ep) {
				if r := m.do(s+1, ep+1); r >= 0 {
					return r
				}
			}
			p = ep + 1
		case '*':
			return m.maxExpand(s, p, ep, 0)
		case '+':
			return m.maxExpand(s, p, ep, 1)
		case '-':
			return m.minExpand(s, p, ep)
		default:
			if !m.single(s, p, ep) {
				return -1
			}
			s, p = s+1, ep
		}
	}
}

// escape matches the items %b, %f and %1 to %9 at p: s and p behind them, s negative when they do not match. ok is false for the other
// escapes, which are single items.
func (m *matcher) escape(s, p int) (rest, next int, ok bool) {
	if p+1 == len(m.pat) {
		return s, p, false
	}
	switch c := m.pat[p+1]; {
	case c == 'b':
		return m.balance(s, p+2), p + 4, true
	case c == 'f':
		rest, next = m.frontier(s, p+2)
		return rest, next, true
	case c >= '0' && c <= '9':
		return m.backReference(s, c), p + 2, true
	}
	return s, p, false
}

// frontier matches the set at p where it begins to hold: not for the byte before s, and for that at s. Both ends of the text count as a NUL.
func (m *matcher) frontier(s, p int) (rest, next int) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.fail("missing '[' after '%%f' in pattern")
	}
	ep := m.classEnd(p)
	var before, at byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		at = m.src[s]
	}
	if m.set(before, p, ep-1) || !m.set(at, p, ep-1) {
		return -1, ep
	}
	return s, ep
}

func (m *matcher) maxExpand(s, p, ep, least int) int {
	n := 0
	for m.single(s+n, p, ep) {
		n++
		m.step()
	}
	for ; n >= least; n-- {
		if r := m.do(s+n, ep+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, ep int) int {
	for {
		if r := m.do(s, ep+1); r >= 0 {
			return r
		}
		if !m.single(s, p, ep) {
			return -1
		}
		s++
	}
}

func (m *matcher) startCapture(s, p, what int) int {
	if m.level >= maxCaptures {
		m.fail("too many captures")
	}
	m.caps[m.level] = capture{s, what}
	m.level++
	r := m.do(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) endCapture(s, p int) int {
	l := -1
	for i := m.level - 1; i >= 0; i-- {
		if m.caps[i].len == captureOpen {
			l = i
			break
		}
	}
	if l < 0 {
		m.fail("invalid pattern capture")
	}
	m.caps[l].len = s - m.caps[l].start
	r := m.do(s, p)
	if r < 0 {
		m.caps[l].len = captureOpen
	}
	return r
}

// balance matches %bxy with x and y at p.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.fail("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1
	}
	open, shut, depth := m.pat[p], m.pat[p+1], 1
	for i := s + 1; i < len(m.src); i++ {
		m.step()
		switch m.src[i] {
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		case open:
			depth++
		}
	}
	return -1
}

func (m *matcher) backReference(s int, digit byte) int {
	l := int(digit) - '1'
	if l < 0 || l >= m.level || m.caps[l].len == captureOpen {
		m.fail("invalid capture index %%%c", digit)
	}
	n := m.caps[l].len
	if n == capturePosition {
		n = 0
	}
	c := m.src[m.caps[l].start : m.caps[l].start+n]
	m.steps += n / 16
	if len(m.src)-s >= n && m.src[s:s+n] == c {
		return s + n
	}
	return -1
}

// classEnd returns the offset behind the single item at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p == len(m.pat) {
			m.fail("malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
			if p >= len(m.pat) {
				m.fail("malformed pattern (missing ']')")
			}
			c := m.pat[p]
			p++
			if c == '%' {
				if p >= len(m.pat) {
					m.fail("malformed pattern (missing ']')")
				}
				p++
			}
		}
		return p + 1
	}
	return p
}

// single reports whether the item pat[p:ep] matches the byte at s.
func (m *matcher) single(s, p, ep int) bool {
	if s >= len(m.src) {
		return false
	}
	c := m.src[s]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return classMatch(c, m.pat[p+1])
	case '[':
		m.steps += (ep - p) / 16
		return m.set(c, p, ep-1)
	}
	return m.pat[p] == c
}

// set reports whether c is in the set from '[' at p to ']' at end.
func (m *matcher) set(c byte, p, end int) bool {
	yes := true
	p++
	if m.pat[p] == '^' {
		yes = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if classMatch(c, m.pat[p]) {
				return yes
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return yes
			}
			p += 2
		case m.pat[p] == c:
			return yes
		}
	}
	return !yes
}

// classMatch reports whether c is in the class named by letter k; an upper-case letter is the complement.
func classMatch(c, k byte) bool {
	lower := k | 0x20
	alpha := c|0x20 >= 'a' && c|0x20 <= 'z'
	digit := c >= '0' && c <= '9'
	var in bool
	switch lower {
	case 'a':
		in = alpha
	case 'd':
		in = digit
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'w':
		in = alpha || digit
	case 'x':
		in = digit || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'p':
		in = c > ' ' && c < 0x7f && !alpha && !digit
	case 'c':
		in = c < ' ' || c == 0x7f
	case 'z':
		in = c == 0
	default:
		return k == c
	}
	if lower != k && k >= 'A' && k <= 'Z' {
		return !in
	}
	return in && k == lower
}
