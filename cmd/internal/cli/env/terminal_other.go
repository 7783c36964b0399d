//go:build !unix

package env

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// OpenTerminal sets the functions that ask on standard input, if that is a terminal.
func (e *Env) OpenTerminal() {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return
	}
	e.AskHidden = func(_ context.Context, prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		defer fmt.Fprintln(os.Stderr)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		return string(b), err
	}
	e.AskShown = func(_ context.Context, prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	}
}

// WatchOutput watches nothing: the next write tells.
func WatchOutput(*os.File, func()) (stop func()) { return func() {} }
