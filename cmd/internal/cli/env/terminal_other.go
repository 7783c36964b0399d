//go:build !unix

package env

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"
)

// OpenTerminal returns a function that asks on standard input without showing the answer, or nil when that is no terminal.
func OpenTerminal() func(ctx context.Context, prompt string) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return func(_ context.Context, prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		defer fmt.Fprintln(os.Stderr)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		return string(b), err
	}
}

// WatchOutput watches nothing: the next write tells.
func WatchOutput(*os.File, func()) (stop func()) { return func() {} }
