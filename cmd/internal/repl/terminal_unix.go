//go:build unix

package repl

import (
	"os"
	"syscall"
)

// redrawLine makes liner draw its prompt again.
func redrawLine() { _ = syscall.Kill(os.Getpid(), syscall.SIGWINCH) }

// openTerminal opens the terminal non-blocking, so that a deadline ends a read.
func openTerminal() *os.File {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return f
}
