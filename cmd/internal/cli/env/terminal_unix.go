//go:build unix

package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// OpenTerminal sets the functions that ask on the process's terminal, if it has one. Standard input and output may be pipes: the
// terminal is opened by its own name.
func (e *Env) OpenTerminal() {
	probe, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return
	}
	probe.Close()
	e.AskHidden = func(ctx context.Context, prompt string) (string, error) { return ask(ctx, prompt, true) }
	e.AskShown = func(ctx context.Context, prompt string) (string, error) { return ask(ctx, prompt, false) }
}

// ask asks for a line.
func ask(ctx context.Context, prompt string, hidden bool) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NONBLOCK, 0) // non-blocking: a deadline ends the read
	if err != nil {
		return "", err
	}
	defer tty.Close()
	// Only the echo goes; Ctrl-C still ends the program. The old modes come back whatever ends the read.
	conn, err := tty.SyscallConn()
	if err != nil {
		return "", err
	}
	var old *term.State
	var failed error
	if err := conn.Control(func(fd uintptr) {
		if old, failed = term.GetState(int(fd)); failed == nil && hidden {
			failed = noEcho(int(fd))
		}
	}); err != nil {
		return "", err
	}
	if failed != nil {
		return "", failed
	}
	defer conn.Control(func(fd uintptr) { _ = term.Restore(int(fd), old) })
	fmt.Fprint(tty, prompt) // once nothing is shown any more: a person, or a program, may answer at once
	if hidden {
		defer fmt.Fprintln(tty)
	}
	stop := context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var line []byte
	for one := make([]byte, 1); ; {
		n, err := tty.Read(one)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case n == 1 && one[0] == '\n':
			return string(line), nil
		case err != nil || n == 0:
			return "", fmt.Errorf("no password was typed: %w", errors.Join(err, ErrInterrupted))
		case len(line) >= 4096:
			return "", errors.New("the password is too long")
		}
		line = append(line, one[0])
	}
}

// WatchOutput calls gone once nobody reads from f any more: its pipe or socket was closed at the other end, or its terminal hung up.
// It returns a function that ends the watch and waits for its end. A file is never gone.
func WatchOutput(f *os.File, gone func()) (stop func()) {
	r, w, err := os.Pipe()
	if err != nil {
		return func() {} // the next write tells
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// No events asked for at f: errors and hang-ups are always told. The end of the pipe ends the watch.
		fds := []unix.PollFd{{Fd: int32(f.Fd())}, {Fd: int32(r.Fd())}}
		for {
			_, err := unix.Poll(fds, -1)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case err == nil && fds[1].Revents == 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				gone()
			}
			return
		}
	}()
	return func() {
		w.Close()
		<-done
		r.Close()
	}
}
