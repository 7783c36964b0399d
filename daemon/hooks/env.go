package hooks

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Env is the set of variables scripts and the management port see. Names and values are cleaned when set: a name
// keeps letters, digits and underscores, a value loses its control characters. It is safe for concurrent use.
type Env struct {
	mu   sync.Mutex // guards vars and list
	vars map[string]string
	list []string // names, oldest first
}

// NewEnv returns an empty set.
func NewEnv() *Env { return &Env{vars: make(map[string]string)} }

// Set adds or replaces a variable. A replaced one counts as the newest.
func (e *Env) Set(name, value string) {
	name = cleanName(name)
	if name == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.vars[name]; ok {
		e.list = slices.DeleteFunc(e.list, func(s string) bool { return s == name })
	}
	e.vars[name] = Printable(value)
	e.list = append(e.list, name)
}

// Get returns a variable's value.
func (e *Env) Get(name string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.vars[name]
	return v, ok
}

// Unset removes a variable.
func (e *Env) Unset(name string) { e.UnsetFunc(func(n string) bool { return n == name }) }

// UnsetPrefix removes all variables whose names start with prefix.
func (e *Env) UnsetPrefix(prefix string) {
	e.UnsetFunc(func(n string) bool { return strings.HasPrefix(n, prefix) })
}

// UnsetFunc removes the variables for whose names drop returns true.
func (e *Env) UnsetFunc(drop func(name string) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = slices.DeleteFunc(e.list, func(n string) bool {
		if !drop(n) {
			return false
		}
		delete(e.vars, n)
		return true
	})
}

// Clone returns an independent copy.
func (e *Env) Clone() *Env {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Env{vars: maps.Clone(e.vars), list: slices.Clone(e.list)}
}

// Reversed returns an independent copy in which the oldest variable counts as the newest. Stock hands an environment on
// in this way, from the options to the process and from there to each client, and the port shows it.
func (e *Env) Reversed() *Env {
	c := e.Clone()
	slices.Reverse(c.list)
	return c
}

// With returns a copy with these "name=value" pairs added.
func (e *Env) With(pairs ...string) *Env {
	c := e.Clone()
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		c.Set(name, value)
	}
	return c
}

// List returns "name=value" strings, oldest first.
func (e *Env) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]string, len(e.list))
	for i, n := range e.list {
		out[i] = n + "=" + e.vars[n]
	}
	return out
}

// Newest returns "name=value" strings, newest first, the order in which the management port lists them.
func (e *Env) Newest() []string {
	out := e.List()
	slices.Reverse(out)
	return out
}

// cleanName drops what is no letter, digit or underscore, as stock does.
func cleanName(s string) string {
	return keep(s, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
	})
}

// Printable drops control characters. Bytes above 127 stay as they are, UTF-8 or not.
func Printable(s string) string {
	return keep(s, func(c byte) bool { return c >= 0x20 && c != 0x7f })
}

func keep(s string, ok func(byte) bool) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if ok(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}
