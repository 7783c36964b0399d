package repl

import "testing"

func TestKeysForTheEditor(t *testing.T) {
	for _, tt := range []struct {
		name, typed, want string
		stops             bool
	}{
		{"a line", "pid\n", "pid\n", false},
		{"a line between two prompts", "exit\r", "exit\n", false},
		{"several", "pid\rversion\r\nexit\r", "pid\nversion\n\nexit\n", false},
		{"a search that is given up", "\x12pi\x03", "\x12pi" + keyCancelSearch + keyDiscard, false},
		{"a search that has ended", "\x12pi\r\x03", "\x12pi\n\x03", false},
		{"a stop within a line", "pi\x1ad", "pid", true},
		{"other keys", "\x1b[A\t\x03\x04\x7fä", "\x1b[A\t\x03\x04\x7fä", false},
	} {
		in := &input{stop: make(chan struct{}, 1)}
		if got := string(in.translate([]byte(tt.typed))); got != tt.want || len(in.stop) > 0 != tt.stops {
			t.Errorf("%s: %q, want %q; stops: %v, want %v", tt.name, got, tt.want, len(in.stop) > 0, tt.stops)
		}
	}
}
