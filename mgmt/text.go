package mgmt

import (
	"strings"
	"unicode/utf8"
)

// AppendText adds s as part of a line that people and programs read: the port's lines, the log, status files. No text of a peer
// can start a line of its own or steer a terminal. CR, LF and NUL become blanks; what Steers reports becomes U+FFFD, a TAB
// and everything else stays, bytes that are no UTF-8 included.
func AppendText(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\n' || c == '\r' || c == 0:
			b = append(b, ' ')
			i++
		case c < utf8.RuneSelf && !Steers(rune(c)):
			n := plainPrefix(s[i:])
			b = append(b, s[i:i+n]...)
			i += n
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if Steers(r) {
				b = utf8.AppendRune(b, utf8.RuneError)
			} else {
				b = append(b, s[i:i+n]...)
			}
			i += n
		}
	}
	return b
}

// plainPrefix is the length of the ASCII text at the start of s that stays as it is.
func plainPrefix(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return i
		}
	}
	return len(s)
}

// Plain is AppendText on a string.
func Plain(s string) string {
	if plainPrefix(s) == len(s) {
		return s
	}
	return string(AppendText(make([]byte, 0, len(s)+8), s))
}

// Steers reports whether r acts on a terminal or on the order of the text around it instead of being shown: control characters
// (C0 without TAB, DEL, C1), line and paragraph separators, and the characters that embed, override or isolate a writing
// direction.
func Steers(r rune) bool {
	switch {
	case r < ' ':
		return r != '\t'
	case r < 0x7f:
		return false
	case r < 0xa0:
		return true
	}
	return r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// appendExact adds a secret, which has to arrive as it is, as part of a line.
func appendExact(b []byte, s string) []byte {
	return append(b, lineEnds.Replace(s)...)
}

var lineEnds = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// AppendEnv adds "name=value", a line of a block's environment. Values that a program compares or hands on come exactly:
// passwords and session ids.
func AppendEnv(b []byte, pair string) []byte {
	if SecretEnv(pair) {
		return appendExact(b, pair)
	}
	return AppendText(b, pair)
}

// SecretEnv reports whether a "name=value" line is a secret: only seats that may decide about clients see it.
func SecretEnv(pair string) bool {
	return strings.HasPrefix(pair, "password=") || strings.HasPrefix(pair, "session_id=")
}
