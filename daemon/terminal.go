package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal asks a person: on the controlling terminal, else on standard input when that is one.
type terminal struct{ stdin io.Reader }

// ask puts one question. It ends with ctx.
func (t terminal) ask(ctx context.Context, prompt string, echo bool) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		if f, ok := t.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			tty = f
		} else {
			return "", noTerminal(prompt)
		}
	} else {
		defer tty.Close()
	}
	type answer struct {
		text string
		err  error
	}
	fd := int(tty.Fd())
	saved, err := term.GetState(fd)
	if err != nil {
		return "", noTerminal(prompt)
	}
	got := make(chan answer, 1)
	fmt.Fprint(tty, prompt+" ")
	go func() { // ends with the answer; a terminal cannot be read with a deadline
		if !echo {
			b, err := term.ReadPassword(fd)
			fmt.Fprintln(tty)
			got <- answer{string(b), err}
			return
		}
		line, err := bufio.NewReader(tty).ReadString('\n')
		got <- answer{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-ctx.Done():
		_ = term.Restore(fd, saved)
		return "", ctx.Err()
	}
}

// noTerminal is stock's text for a question nobody can be asked.
func noTerminal(prompt string) error {
	return fmt.Errorf("neither stdin nor stderr are a tty device and you have neither a controlling tty nor systemd - can't ask for '%s'.  If you used --daemon, you need to use --askpass to make passphrase-protected keys work, and you can not use --auth-nocache.", prompt) //nolint:staticcheck // the line scripts know
}
