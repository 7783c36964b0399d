package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// inside is set in the environment of a demonstration that runs in a user namespace of its own.
const inside = "MOONGATE_DEMO_INSIDE"

// borrowRoot plays the demonstration in a user namespace, where a user without rights is root over networks of their own.
func borrowRoot(ctx context.Context, o Options) error {
	cmd := exec.CommandContext(ctx, o.Program, o.arguments()...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Stdin, o.Out, o.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stepTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the demonstration makes network namespaces; this system gives none to users (%w): run it as root", err)
	}
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the demonstration ended early (%w): see above", err)
	}
	return ctx.Err()
}

// arguments are the command line that plays the same.
func (o Options) arguments() []string {
	args := []string{"demo"}
	for _, f := range []struct {
		set  bool
		flag string
	}{{o.Fleet, "--fleet"}, {o.Keep, "--keep"}, {!o.Prompt, "--no-prompt"}} {
		if f.set {
			args = append(args, f.flag)
		}
	}
	return args
}

// settle makes /run ours in a user namespace: ip netns keeps its names there, the daemon its notes.
func settle() error {
	if os.Getenv(inside) == "" {
		return nil
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: run the demonstration as root", err)
	}
	return f.Close()
}
