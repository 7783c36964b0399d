package config

import (
	"errors"
	"fmt"
	"strings"
)

// programVersion is the version in the message about unknown options.
const programVersion = "2.6.14"

// Error is an option error. Its text is stock's line without the usage hint.
type Error struct {
	File   string   // "[CMD-LINE]", "[PUSH-OPTIONS]" or a path; empty for checks of the whole
	Line   int      // from 1; 0 when File is empty
	Option string   // name of the option, if one is to blame
	Text   string   // message, with FILE:LINE where stock has it
	About  string   // the option that a check of the whole is about, where the text does not name it
	Word   string   // the part of the line that is to blame, where the text does not quote it
	More   []string // further ones
	Advice string   // what check says about Word, where it is no name

	// Fatal marks the few errors that stock logs as fatal errors instead of option errors: no prefix, no usage hint,
	// "Exiting due to fatal error" after them.
	Fatal bool

	// Before are lines to print first: all files that cannot be read are listed.
	Before []string

	// Usage says that the usage hint follows the line.
	Usage bool
}

// Error returns "Options error: TEXT", or the bare text of a fatal error.
func (e *Error) Error() string {
	if e.Fatal || strings.HasPrefix(e.Text, "Options warning: ") || strings.HasPrefix(e.Text, "Options error: ") {
		return e.Text
	}
	return "Options error: " + e.Text
}

// UsageHint is the line after a fatal option error.
const UsageHint = "Use --help for more information."

// Errors that are not about an option.
var (
	// ErrUsage asks for the usage text: no argument at all, or --help. The exit status is 1.
	ErrUsage = errors.New("usage")
	// ErrVersion asks for the version text. The exit status is 0.
	ErrVersion = errors.New("version")
)

func errorf(format string, args ...any) *Error {
	return &Error{Text: fmt.Sprintf(format, args...), Usage: true}
}

// fatalf makes an error that is logged like any other fatal error.
func fatalf(format string, args ...any) *Error {
	return &Error{Text: fmt.Sprintf(format, args...), Fatal: true}
}
