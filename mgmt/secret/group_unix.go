//go:build unix

package secret

import (
	"os/exec"
	"syscall"
)

// Group gives cmd a process group of its own, and kills all of it at the deadline.
func Group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
