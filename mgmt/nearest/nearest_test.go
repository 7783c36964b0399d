package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	names := []string{"remote", "remote-random", "route", "verb"}
	for word, want := range map[string]string{
		"remote": "remote", "remtoe": "remote", "emote": "remote", "rouute": "route", "verd": "verb", "vreb": "verb",
		"cipher": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := Name(word, names, 2); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{"foo": "", "lgo": "log", "lo": "log", "x": ""} { // of a short word little may be wrong
		if got := Name(word, []string{"log", "y"}, 2); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Name("remote", names[1:], 0); got != "" {
		t.Errorf("without edits %q", got)
	}
}
