package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/owner"
)

// backgroundMark is set in the environment of the process in the background.
const backgroundMark = "MOONGATE_BACKGROUND"

// inBackground reports whether this process was started by toBackground. It clears the mark, so that no child of ours
// believes it.
func inBackground() bool {
	marked := os.Getenv(backgroundMark) != ""
	_ = os.Unsetenv(backgroundMark)
	return marked
}

// toBackground runs the program once more with the same command line, in a session of its own with nothing on its
// standard descriptors. Go cannot fork; the options were checked once already. owned is the owner's pipe, nil without.
func toBackground(args []string, env Env, owned *os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := &exec.Cmd{
		Path: exe, Args: append(append([]string{env.Program}, env.Args0...), args...),
		Env: append(os.Environ(), backgroundMark+"=1"), Stdin: null, Stdout: null, Stderr: null,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	owner.HandOn(cmd, owned)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	return cmd.Process.Release()
}
