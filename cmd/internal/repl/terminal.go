package repl

import (
	"io"
	"sync"
)

// Terminal serialises what is written while a prompt may be open.
type Terminal struct {
	out    io.Writer
	redraw func() // makes the line editor draw its prompt again

	mu struct {
		sync.Mutex
		prompting bool
		secret    string // text of the hidden prompt that is open
	}
}

// Print writes s, whole lines, above the prompt if one is open.
func (t *Terminal) Print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.prompting {
		io.WriteString(t.out, s)
		return
	}
	io.WriteString(t.out, "\r\x1b[K"+s+t.mu.secret) // one write: nothing gets between
	if t.mu.secret == "" {
		t.redraw()
	}
}

// open says that a prompt is about to be shown, with its text when it is a hidden one.
func (t *Terminal) open(secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.prompting, t.mu.secret = true, secret
}

// shut says that no prompt is open any more.
func (t *Terminal) shut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.prompting, t.mu.secret = false, ""
}
