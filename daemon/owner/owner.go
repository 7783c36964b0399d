// Package owner lets a daemon belong to the program that started it: however that program ends, its daemon ends too.
//
// Both hold an end of a pipe, whose number the daemon finds in its environment. The end of the pipe is the end of the owner; a byte in it lets
// the daemon go on alone.
package owner

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// mark is the variable with the daemon's end of the pipe.
const mark = "MOONGATE_OWNER"

// Hold is the owner's end.
type Hold struct{ mine *os.File }

// New makes the caller the owner of the daemon that start starts with cmd.
func New(cmd *exec.Cmd, start func() error) (*Hold, error) {
	theirs, mine, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	HandOn(cmd, theirs)
	if err := start(); err != nil {
		mine.Close()
		return nil, err
	}
	return &Hold{mine}, nil
}

// HandOn gives the daemon's end to a process that goes on in its place. It does nothing without one.
func HandOn(cmd *exec.Cmd, theirs *os.File) {
	if theirs == nil {
		return
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.Env = append(cmd.Env, mark+"="+strconv.Itoa(2+len(cmd.ExtraFiles))) // behind the standard ones
}

// LetGo lets the daemon go on alone.
func (h *Hold) LetGo() error {
	_, err := h.mine.Write([]byte{1})
	return err
}

// Close ends the daemon, unless it was let go.
func (h *Hold) Close() error { return h.mine.Close() }

// Take returns the daemon's end, nil for a daemon without an owner. No child of the process inherits it.
func Take() *os.File {
	fd, err := strconv.Atoi(os.Getenv(mark))
	_ = os.Unsetenv(mark)
	if err != nil || fd <= 2 || syscall.SetNonblock(fd, true) != nil {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "owner")
}

// Wait waits for the end of the owner and reports whether it came: false when the daemon was let go, or ctx ended. It closes theirs.
func Wait(ctx context.Context, theirs *os.File) bool {
	defer theirs.Close()
	stop := context.AfterFunc(ctx, func() { theirs.Close() })
	defer stop()
	n, _ := theirs.Read(make([]byte, 1))
	return n == 0 && ctx.Err() == nil
}
