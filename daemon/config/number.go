package config

import (
	"math"
	"strconv"
	"time"
)

// integer reads s as a number from low to high. Rubbish is an error, unlike in old releases, which took it for 0.
func integer[T ~int | ~int64](name, s string, low, high T) (T, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		if low >= 0 {
			return 0, errorf("%s: Cannot parse argument '%s' as non-negative integer", name, s)
		}
		return 0, errorf("%s: Cannot parse argument '%s' as integer", name, s)
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

// number makes an apply function for an integer option.
func number(low, high int, f func(o *Options) *int) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		n, err := integer(p.line.Name, a[0], low, high)
		if err == nil {
			*f(p.o) = n
		}
		return err
	}
}

// maxSeconds keeps durations far from overflow: 68 years.
const maxSeconds = math.MaxInt32

// duration reads s as seconds.
func duration(name, s string) (time.Duration, error) {
	n, err := integer(name, s, 0, maxSeconds)
	return time.Duration(n) * time.Second, err
}

// seconds makes an apply function for a time in seconds.
func seconds(f func(o *Options) *time.Duration) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		d, err := duration(p.line.Name, a[0])
		if err == nil {
			*f(p.o) = d
		}
		return err
	}
}

// connNumber and connSeconds are for options of a profile.

func connNumber(low, high int, f func(c *Connection) *int) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		n, err := integer(p.line.Name, a[0], low, high)
		if err == nil {
			*f(p.c) = n
		}
		return err
	}
}

func connSeconds(f func(c *Connection) *time.Duration) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		d, err := duration(p.line.Name, a[0])
		if err == nil {
			*f(p.c) = d
		}
		return err
	}
}
