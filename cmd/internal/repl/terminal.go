package repl

import (
	"io"
	"sync"
)

// Terminal serialises what is written while a prompt may be open.
type Terminal struct {
	out    io.Writer
	redraw func() // makes the line editor draw its prompt again
	plain  bool   // no escape sequences: a dumb terminal

	mu struct {
		sync.Mutex
		prompting bool
		secret    string // text of the hidden prompt that is open
		lent      bool   // another program has the screen
		waiting   []byte // what was printed meanwhile
	}
}

// Print writes s, whole lines, above the prompt if one is open.
func (t *Terminal) Print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.mu.lent:
		t.mu.waiting = append(t.mu.waiting, s...)
		if len(t.mu.waiting) > 1<<20 {
			t.mu.waiting = t.mu.waiting[len(t.mu.waiting)-1<<20:]
		}
	case !t.mu.prompting:
		io.WriteString(t.out, s)
	case t.plain:
		io.WriteString(t.out, "\n"+s)
	default:
		io.WriteString(t.out, "\r\x1b[K"+s+t.mu.secret) // one write: nothing gets between
		if t.mu.secret == "" {
			t.redraw()
		}
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

// wipe clears the row of a prompt that was ended from outside.
func (t *Terminal) wipe() {
	if !t.plain {
		io.WriteString(t.out, "\r\x1b[K")
	}
}

// lend holds back what is printed while f runs.
func (t *Terminal) lend(f func()) {
	t.mu.Lock()
	t.mu.lent = true
	t.mu.Unlock()
	f()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.lent = false
	t.out.Write(t.mu.waiting)
	t.mu.waiting = nil
}
