package script

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// ErrDeadline ends a handler that took longer than HandlerTimeout, waits included.
var ErrDeadline = errors.New("handler took too long")

// Error is an error of the script itself.
type Error struct {
	File  string
	Line  int    // 0 when not known
	Text  string // without file and line
	Trace string // Lua stack, one call a line; may be empty
}

// Error is "FILE:LINE: TEXT".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// ExitError is returned by Run when the script ended itself with a code other than 0.
type ExitError struct{ Code int }

// ExitCode returns the code that the script asked for.
func (e *ExitError) ExitCode() int { return e.Code }

// Error names the code.
func (e *ExitError) Error() string { return fmt.Sprintf("the script stopped with code %d", e.Code) }

// FailedError is returned by Run under Strict when handlers failed.
type FailedError struct {
	Errors uint64
	Last   string // with file and line
}

// Error tells how many, and the last.
func (e *FailedError) Error() string {
	if e.Errors == 1 {
		return "a handler failed: " + e.Last
	}
	return fmt.Sprintf("%d handlers failed, the last: %s", e.Errors, e.Last)
}

var (
	place  = regexp.MustCompile(`^(.*?):(\d+): `)
	parsed = regexp.MustCompile(`^(.*) line:(\d+)\(column:\d+\) near '([^']*)':\s*`)
)

// scriptError turns what gopher-lua returns into an *Error. cause, if any, is why the meter or a deadline ended the call, and wins over
// the text that this left behind. co is the coroutine that died, nil if there was none.
func scriptError(file string, err, cause error, co *lua.LState) *Error {
	e := &Error{File: file}
	if err != nil {
		e.Text = err.Error()
	}
	var api *lua.ApiError
	if errors.As(err, &api) {
		e.Text = lib.Clip(api.Object.String(), maxErrorText+maxSecretText)
		if api.Type == lua.ApiErrorSyntax || api.Object == lua.LNil {
			e.Text = err.Error()
			if api.Cause != nil {
				e.Text = api.Cause.Error()
			}
		}
		if t, ok := api.Object.(*lua.LTable); ok {
			e.Text = tableError(t)
		}
	}
	rest, inside := sandbox.Inside(e.Text)
	if co != nil {
		e.Trace = sandbox.Trace(co)
		if inside || e.Text == "" || place.FindString(e.Text) == "" {
			e.Text = sandbox.Where(co) + rest
		}
	}
	if m := place.FindStringSubmatch(e.Text); m != nil {
		e.File, e.Text = m[1], e.Text[len(m[0]):]
		e.Line, _ = strconv.Atoi(m[2])
	} else if m := parsed.FindStringSubmatch(e.Text); m != nil {
		e.Line, _ = strconv.Atoi(m[2])
		e.Text = fmt.Sprintf("near '%s': %s", m[3], strings.TrimSpace(e.Text[len(m[0]):]))
	} else if m := atEnd.FindStringSubmatch(e.Text); m != nil {
		e.Line, e.Text = strings.Count(e.Text, "\n"), "the file ends too early"
	}
	if cause != nil {
		e.Text = cause.Error()
	}
	e.Text = lib.Clip(e.Text, maxErrorText+maxSecretText)
	return e
}

// maxErrorText is how much of an error is told, in bytes: it may be as long as a string of the script. maxSecretText is how much more is kept until
// the secrets in it are hidden, so that none is cut in two.
const (
	maxErrorText  = 4 << 10
	maxSecretText = 64 << 10
)

func baseName(path string) string { return filepath.Base(path) }

var atEnd = regexp.MustCompile(`^(.*) at EOF:\s*`)

// tableError is the text of an error that is a table: its message, or what it has else.
func tableError(t *lua.LTable) string {
	if s, ok := t.RawGetString("message").(lua.LString); ok {
		return string(s)
	}
	var parts []string
	for k, v := t.Next(lua.LNil); k != lua.LNil && len(parts) < 32; k, v = t.Next(k) {
		parts = append(parts, fmt.Sprintf("%s = %s", lib.Short(k.String()), lib.Short(v.String())))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}
