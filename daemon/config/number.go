package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// integer reads the number that s begins with, from low to high. What follows it is ignored with a warning, as stock ignores it
// without one: files say `verb 3;` and `hand-window 60s`. A text without any digit is an error, unlike in stock, which takes it
// for 0.
func integer[T ~int | ~int64](p *parser, name, s string, low, high T) (T, error) {
	digits, rest := leading(s)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		if low >= 0 {
			return 0, errorf("%s: Cannot parse argument '%s' as non-negative integer", name, s)
		}
		return 0, errorf("%s: Cannot parse argument '%s' as integer", name, s)
	}
	if rest != "" {
		p.warn("WARNING: %s in %s:%d: '%s' is read as %d, '%s' is ignored", name, p.line.File, p.line.Line, s, n, rest)
	}
	switch {
	case T(n) >= low && T(n) <= high && int64(T(n)) == n:
		return T(n), nil
	case int64(high) >= math.MaxInt32:
		return 0, errorf("%s: Must be an integer >= %d, not %d", name, low, n)
	default:
		return 0, errorf("%s: Must be an integer between %d and %d, not %d", name, low, high, n)
	}
}

// leading splits s after the number it begins with; blanks around the number do not count.
func leading(s string) (digits, rest string) {
	s = strings.TrimSpace(s)
	n := len(s) - len(strings.TrimLeft(s, "+-"))
	if n > 1 {
		return "", s
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// isNumber reports whether s is a number and nothing else, for the few options where stock wants that.
func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// number makes an apply function for an integer option.
func number(low, high int, f func(o *Options) *int) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		n, err := integer(p, p.line.Name, a[0], low, high)
		if err == nil {
			*f(p.o) = n
		}
		return err
	}
}

// maxSeconds keeps durations far from overflow: 68 years.
const maxSeconds = math.MaxInt32

// duration reads s as seconds.
func duration(p *parser, name, s string) (time.Duration, error) {
	n, err := integer(p, name, s, 0, maxSeconds)
	return time.Duration(n) * time.Second, err
}

// seconds makes an apply function for a time in seconds.
func seconds(f func(o *Options) *time.Duration) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		d, err := duration(p, p.line.Name, a[0])
		if err == nil {
			*f(p.o) = d
		}
		return err
	}
}

// connNumber and connSeconds are for options of a profile.

func connNumber(low, high int, f func(c *Connection) *int) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		n, err := integer(p, p.line.Name, a[0], low, high)
		if err == nil {
			*f(p.c) = n
		}
		return err
	}
}

func connSeconds(f func(c *Connection) *time.Duration) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		d, err := duration(p, p.line.Name, a[0])
		if err == nil {
			*f(p.c) = d
		}
		return err
	}
}
