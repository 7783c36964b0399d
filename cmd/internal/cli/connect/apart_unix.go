//go:build unix

package connect

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// hangUp are SIGHUP, which tells that the terminal is gone, and the SIGQUIT of Ctrl-\.
var hangUp = []os.Signal{syscall.SIGHUP, syscall.SIGQUIT}

// apart puts a program into a session of its own: Ctrl-C at the terminal is for connect, which asks the daemon to end and leaves a browser open.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// asUser makes a program that root starts that of the user who called sudo, nil without sudo.
func asUser(uid, gid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uid, Gid: gid}}
}

// lock waits for the lock of a folder, which ends with the process.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: dir, Err: err}
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
