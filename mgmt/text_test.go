package mgmt_test

import (
	"testing"
	"unicode"

	"github.com/moongate-vpn/moongate/mgmt"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain, with = and \t":   "plain, with = and \t",
		"größe 日本 🙂":             "größe 日本 🙂",
		"a\r\nb\x00":             "a  b ",
		"\x1b[2J\x7f\a":          "\uFFFD[2J\uFFFD\uFFFD",
		"a\u0080\u009b31m\u009f": "a\uFFFD\uFFFD31m\uFFFD",
		"\u0085\u00a0":           "\uFFFD\u00a0",
		"x\u202egnp.exe":         "x\uFFFDgnp.exe",
		"\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069": "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
		"\u2028\u2029":     "\uFFFD\uFFFD",
		"caf\xe9 \xff":     "caf\xe9 \xff", // no UTF-8: stays
		"\u200eשלום\u200f": "\u200eשלום\u200f",
	} {
		if got := mgmt.Plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for r := rune(0); r < 0x3000; r++ {
		bidi := r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		if want := r != '\t' && unicode.IsControl(r) || bidi || r == 0x2028 || r == 0x2029; mgmt.Steers(r) != want {
			t.Errorf("U+%04X: %v", r, !want)
		}
	}
}

// Secrets arrive as they are, and still on one line.
func TestSecretsAreExact(t *testing.T) {
	for in, want := range map[string]string{
		"password=a\u202eb\u009b":   "password=a\u202eb\u009b",
		"session_id=\u0085":         "session_id=\u0085",
		"username=a\u202eb":         "username=a\uFFFDb",
		"password=x\r\n>FATAL:none": "password=x  >FATAL:none",
	} {
		if got := string(mgmt.AppendEnv(nil, in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
