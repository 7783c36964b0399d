// Package lexer splits lines into parameters, the way of option files. The same rules serve option files, pushed
// options, the command strings of scripts, the lines of the management port and the prompt.
//
//	state     on              does
//	between   whitespace      skips it
//	          # ;             ends the line: a comment, also after a backslash
//	          "  '            begins a quoted parameter
//	          else            begins a plain parameter
//	plain     whitespace      ends the parameter
//	          else            is literal, quotes and comment characters too
//	"…"       "               ends the parameter, even an empty one
//	'…'       '               ends the parameter; backslashes are literal
//
// Outside of single quotes a backslash makes a backslash, a double quote or whitespace literal; before anything else it
// is an error. What follows a closing quote begins the next parameter: "a"b are two.
package lexer

import (
	"fmt"
	"strings"
)

// Limits of a line.
const (
	MaxParams = 16  // further text is not looked at
	MaxLen    = 256 // bytes of a parameter; more are an error, see ErrorTooLong
)

// Kind tells errors apart.
type Kind uint8

// Kinds of errors.
const (
	ErrorBackslash Kind = iota // a backslash before a character that needs none
	ErrorDoubleQuote
	ErrorSingleQuote
	ErrorResidual // the line ends in a backslash directly after a plain parameter
	ErrorTooLong
)

// Error is a line that cannot be split. Its text is the stock daemon's, prefix included.
type Error struct {
	Kind  Kind
	Where string // "file.conf:3", "TCP:0"
	Text  string // the beginning of the parameter, for ErrorTooLong
}

// Error returns "Options error: …", or "Options warning: …" for a backslash.
func (e *Error) Error() string {
	switch e.Kind {
	case ErrorBackslash:
		return `Options warning: Bad backslash ('\') usage in ` + e.Where +
			`: remember that backslashes are treated as shell-escapes and if you need to pass backslash characters as part ` +
			`of a Windows filename, you should use double backslashes such as "c:\\openvpn\\static.key"`
	case ErrorDoubleQuote:
		return `Options error: No closing quotation (") in ` + e.Where
	case ErrorSingleQuote:
		return `Options error: No closing single quotation (') in ` + e.Where
	case ErrorResidual:
		return "Options error: Residual parse state (2) in " + e.Where
	default:
		return fmt.Sprintf("Options error: Parameter at %s is too long (%d chars max): %s", e.Where, MaxLen, e.Text)
	}
}

type state uint8

const (
	between state = iota
	plain
	double
	single
)

// Split returns the parameters of line, nil when it is empty or a comment. where names the line in errors, all of
// which are of type *Error.
//
// A line has no limit of its own here: the callers that read lines have one.
func Split(line, where string) ([]string, error) {
	line, _, _ = strings.Cut(line, "\x00") // text ends at a NUL
	var params []string
	var buf []byte
	st, escaped := between, false
	for i := 0; i <= len(line); i++ {
		var c byte // the end acts like whitespace, even an escaped one
		if i < len(line) {
			c = line[i]
			if c == 0 {
				line = line[:i] // text ends at a NUL
			}
		}
		if !escaped && c == '\\' && st != single {
			escaped = true
			continue
		}
		done, keep := false, false
		switch st {
		case between:
			switch {
			case isSpace(c):
			case c == '#' || c == ';':
				return params, nil
			case !escaped && c == '"':
				st = double
			case !escaped && c == '\'':
				st = single
			default:
				st, keep = plain, true
			}
		case plain:
			done = !escaped && isSpace(c)
			keep = !done
		case double:
			done = !escaped && c == '"'
			keep = !done
		case single:
			done = c == '\''
			keep = !done
		}
		if keep {
			if escaped && c != '\\' && c != '"' && !isSpace(c) {
				return nil, &Error{Kind: ErrorBackslash, Where: where}
			}
			if i < len(line) {
				buf = append(buf, c)
			}
			if len(buf) > MaxLen {
				return nil, &Error{Kind: ErrorTooLong, Where: where, Text: string(buf[:MaxLen-1])}
			}
		}
		if done {
			params = append(params, string(buf))
			buf, st = buf[:0], between
			if len(params) == MaxParams {
				return params, nil
			}
		}
		escaped = false
	}
	switch st {
	case plain:
		return nil, &Error{Kind: ErrorResidual, Where: where}
	case double:
		return nil, &Error{Kind: ErrorDoubleQuote, Where: where}
	case single:
		return nil, &Error{Kind: ErrorSingleQuote, Where: where}
	}
	return params, nil
}

// isSpace is C's isspace and the end of the text.
func isSpace(c byte) bool { return c == ' ' || c-'\t' < 5 || c == 0 }

// Quote returns s so that Split gives it back as one parameter, with quotes only where they are needed. Text after a
// NUL, which no line can carry, is lost.
func Quote(s string) string {
	if s != "" && !strings.ContainsAny(s[:1], "#;'") && !strings.ContainsAny(s, " \t\n\v\f\r\"\\") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Join quotes each of params and joins them with blanks: the inverse of Split for at most MaxParams parameters.
func Join(params ...string) string {
	quoted := make([]string, len(params))
	for i, p := range params {
		quoted[i] = Quote(p)
	}
	return strings.Join(quoted, " ")
}
