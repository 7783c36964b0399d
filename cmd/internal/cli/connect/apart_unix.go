//go:build unix

package connect

import (
	"os"
	"syscall"
)

// hangUp tells that the terminal is gone.
var hangUp = []os.Signal{syscall.SIGHUP}

// apart puts the daemon into a session of its own: Ctrl-C at the terminal is for connect, which asks the daemon to end.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// asUser makes a program that root starts that of the user who called sudo, nil without sudo.
func asUser(uid, gid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uid, Gid: gid}}
}
