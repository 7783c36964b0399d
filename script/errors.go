package script

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// ErrDeadline ends a handler that took longer than HandlerTimeout.
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

// Error names the code.
func (e *ExitError) Error() string { return fmt.Sprintf("the script stopped with code %d", e.Code) }

var (
	place  = regexp.MustCompile(`^(.*?):(\d+): `)
	parsed = regexp.MustCompile(`^(.*) line:(\d+)\(column:\d+\) near '([^']*)':\s*`)
)

// scriptError turns what gopher-lua returns into an *Error. A deadline wins over the text it left behind.
func scriptError(file string, err, cause error) *Error {
	e := &Error{File: file, Text: err.Error()}
	var api *lua.ApiError
	if errors.As(err, &api) {
		e.Text = api.Object.String()
		if api.Type == lua.ApiErrorSyntax || api.Object == lua.LNil {
			e.Text = err.Error()
			if api.Cause != nil {
				e.Text = api.Cause.Error()
			}
		}
		e.Trace = strings.TrimPrefix(strings.TrimSpace(api.StackTrace), "stack traceback:\n")
	}
	if m := place.FindStringSubmatch(e.Text); m != nil {
		e.File, e.Text = m[1], e.Text[len(m[0]):]
		e.Line, _ = strconv.Atoi(m[2])
	} else if m := parsed.FindStringSubmatch(e.Text); m != nil {
		e.Line, _ = strconv.Atoi(m[2])
		e.Text = fmt.Sprintf("near '%s': %s", m[3], strings.TrimSpace(e.Text[len(m[0]):]))
	}
	if cause != nil {
		e.Text = cause.Error()
	}
	return e
}
