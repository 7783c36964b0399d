package cli

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// untilTwice keeps what is written and calls done when word came twice.
type untilTwice struct {
	word string
	done func()

	mu sync.Mutex
	b  bytes.Buffer
}

func (u *untilTwice) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.b.Write(p)
	if strings.Count(u.b.String(), u.word) >= 2 {
		u.done()
	}
	return len(p), nil
}

// A list that is shown again clears the screen only where that is understood and no other target writes.
func TestWatchSteersOnlyWhatItOwns(t *testing.T) {
	one, other := observed(t), observed(t)
	for _, c := range []struct {
		name, term string
		tty        bool
		args       []string
		clears     bool
	}{
		{"terminal", "xterm", true, []string{"-a", one}, true},
		{"pipe", "xterm", false, []string{"-a", one}, false},
		{"dumb terminal", "dumb", true, []string{"-a", one}, false},
		{"no name of the terminal", "", true, []string{"-a", one}, false},
		{"two targets", "xterm", true, []string{"-a", one, "-a", other}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			out := &untilTwice{word: "laptop", done: cancel}
			world := &env.Env{In: strings.NewReader(""), Out: out, Err: &bytes.Buffer{}, OutTTY: c.tty, Getenv: func(name string) string {
				return map[string]string{"TERM": c.term}[name]
			}}
			Run(ctx, world, "test", append([]string{"clients", "--watch=100ms"}, c.args...))
			if got := out.b.String(); strings.Count(got, "laptop") < 2 || strings.Contains(got, "\x1b") != c.clears {
				t.Errorf("%q", got)
			}
		})
	}
}
