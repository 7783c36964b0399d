//go:build unix

package repl

import (
	"os"
	"syscall"
)

// redrawLine makes liner draw its prompt again.
func redrawLine() { _ = syscall.Kill(os.Getpid(), syscall.SIGWINCH) }

// cancellableStdin puts the terminal, opened non-blocking, in the place of standard input, so that a read deadline ends an open
// prompt. It returns nil where that does not work; a prompt then ends at the next Enter.
func cancellableStdin() *os.File {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return f
}
