package wire

import (
	"bytes"
	"strings"
)

// PasswordQuestion is the one output of a daemon that no line end follows.
const PasswordQuestion = "ENTER PASSWORD:"

// Prefixes and terminators of replies.
const (
	Success = "SUCCESS: "
	Error   = "ERROR: "
	End     = "END"
	// PasswordCorrect is the line that follows the right password.
	PasswordCorrect = "SUCCESS: password is correct"
)

// Output cuts what a daemon sends into lines. The zero value is ready, and takes lines of any length; MaxLine bounds them.
type Output struct {
	// MaxLine is the longest line in bytes; the rest of a longer one is dropped. 0 is 1 MiB.
	MaxLine int

	buf []byte
}

// Feed takes bytes and calls line for each that is complete, without its CR LF (a lone LF ends a line too).
//
// The password question is handed on the moment its colon is there, as a line of its own: question then tells. It is
// looked for only while ask is true, because any list may hold a line that looks like it; callers pass true until the
// greeting.
func (o *Output) Feed(b []byte, ask bool, line func(text string, question bool)) {
	limit := o.MaxLine
	if limit == 0 {
		limit = 1 << 20
	}
	for len(b) > 0 {
		if ask && o.question(&b, line) {
			continue
		}
		i := bytes.IndexByte(b, '\n')
		chunk := b
		if i >= 0 {
			chunk = b[:i]
		}
		if room := limit - len(o.buf); len(chunk) > room {
			chunk = chunk[:max(0, room)]
		}
		o.buf = append(o.buf, chunk...)
		if i < 0 {
			return
		}
		b = b[i+1:]
		text := strings.TrimSuffix(string(o.buf), "\r")
		o.buf = o.buf[:0]
		line(text, false)
	}
}

// question eats the next byte of the password question if the line so far is a beginning of it.
func (o *Output) question(b *[]byte, line func(string, bool)) bool {
	n := len(o.buf)
	if n >= len(PasswordQuestion) || (*b)[0] != PasswordQuestion[n] || string(o.buf) != PasswordQuestion[:n] {
		return false
	}
	o.buf = append(o.buf, (*b)[0])
	*b = (*b)[1:]
	if len(o.buf) == len(PasswordQuestion) {
		o.buf = o.buf[:0]
		line(PasswordQuestion, true)
	}
	return true
}

// Rest returns the bytes of a line that has no end yet.
func (o *Output) Rest() string { return string(o.buf) }
