package repl

import (
	"errors"
	"os"
	"sync"
	"time"
)

// input stands between the terminal and the line editor: a pipe in the place of standard input that a goroutine fills from the
// terminal. So a prompt can be ended from outside with its half-typed line kept, and the terminal can be lent to a pager.
//
// The editor tells its line only to the completer. To take the line, take holds back what is typed, sends the editor a key that
// leaves menus and searches and then a Tab, and the completer calls captured.
type input struct {
	tty  *os.File // opened non-blocking: a deadline ends its reads
	r, w *os.File

	mu struct {
		sync.Mutex
		ending    bool // close was called
		searching bool // Ctrl-R was typed and nothing since that ends the search
		taking    chan typed
	}
	flow sync.Mutex    // held while bytes go from the terminal to the editor
	stop chan struct{} // Ctrl-Z was typed; room for one
	over chan struct{}
}

// typed is a half-typed line with its cursor, in runes.
type typed struct {
	text string
	pos  int
}

// newInput starts pumping; nil when there is no terminal that can be read with deadlines.
func newInput() *input {
	tty := openTerminal()
	if tty == nil {
		return nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		tty.Close()
		return nil
	}
	in := &input{tty: tty, r: r, w: w, stop: make(chan struct{}, 1), over: make(chan struct{})}
	go in.pump()
	return in
}

// close ends the pump and waits for it.
func (in *input) close() {
	in.r.Close() // first: a pump that waits for the editor goes on
	in.flow.Lock()
	in.mu.Lock()
	in.mu.ending = true
	in.mu.Unlock()
	in.tty.SetReadDeadline(time.Unix(1, 0))
	in.flow.Unlock()
	<-in.over
	in.w.Close()
	in.tty.Close()
}

const (
	keyCancelSearch = "\x07"     // Ctrl-G
	keyDiscard      = "\x15"     // Ctrl-U
	keyNothing      = "\x1b[24~" // F12: leaves a menu of completions, does nothing else
	keyTab          = "\t"
	endPrompt       = keyNothing + keyTab
)

func (in *input) pump() {
	defer close(in.over)
	buf := make([]byte, 1024)
	for {
		n, err := in.tty.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			in.flow.Lock() // lent, or the end
			in.mu.Lock()
			ending := in.mu.ending
			in.mu.Unlock()
			if !ending {
				in.tty.SetReadDeadline(time.Time{})
			}
			in.flow.Unlock()
			if !ending {
				continue
			}
			return
		}
		if err != nil {
			in.w.Close() // the terminal hung up: the editor reads the end
			return
		}
		in.flow.Lock()
		_, err = in.w.Write(in.translate(buf[:n]))
		in.flow.Unlock()
		if err != nil {
			return
		}
	}
}

// translate takes out Ctrl-Z, and turns a Ctrl-C inside a search into keys that end the search and discard the line: the editor would leave the search
// standing on the screen. Enter is a line feed: where lines are not edited that alone ends one, and what is typed between two prompts is as the key sends it.
func (in *input) translate(b []byte) []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []byte
	for _, c := range b {
		switch {
		case c == 0x12:
			in.mu.searching = true
		case c == 0x03 && in.mu.searching:
			out = append(out, keyCancelSearch+keyDiscard...)
			in.mu.searching = false
			continue
		case c == 0x1a: // Ctrl-Z, which the editor would drop
			select {
			case in.stop <- struct{}{}:
			default:
			}
			continue
		case c < 0x20 && c != 0x13 && c != 0x08:
			in.mu.searching = false
		}
		if c == '\r' {
			c = '\n'
		}
		out = append(out, c)
	}
	return out
}

// take ends the open prompt and returns its half-typed line. What is typed from now on waits until give is called.
func (in *input) take() typed {
	in.flow.Lock()
	got := make(chan typed, 1)
	in.mu.Lock()
	in.mu.taking = got
	in.mu.Unlock()
	var line typed
	if _, err := in.w.WriteString(endPrompt); err == nil {
		select {
		case line = <-got:
		case <-time.After(500 * time.Millisecond): // a prompt without completion
		}
	}
	in.mu.Lock()
	in.mu.taking = nil
	in.mu.Unlock()
	in.r.SetReadDeadline(time.Unix(1, 0))
	return line
}

// cut ends the open prompt; its line is of no use. give must follow.
func (in *input) cut() {
	in.flow.Lock()
	in.r.SetReadDeadline(time.Unix(1, 0))
}

// captured is for the completer: it reports whether the Tab was ours, and then keeps the line.
func (in *input) captured(text string, pos int) bool {
	if in == nil {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.taking == nil {
		return false
	}
	in.mu.taking <- typed{text, pos}
	in.mu.taking = nil
	return true
}

// give lets typing through again, after take.
func (in *input) give() {
	in.r.SetReadDeadline(time.Time{})
	in.flow.Unlock()
}

// lend runs f while nothing is read from the terminal here: another program has it.
func (in *input) lend(f func(tty *os.File)) {
	if in == nil {
		return
	}
	in.flow.Lock()
	in.tty.SetReadDeadline(time.Unix(1, 0))
	f(in.tty)
	in.flow.Unlock() // the pump clears the deadline
}
