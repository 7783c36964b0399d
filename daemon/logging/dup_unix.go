//go:build unix && !linux

package logging

import "golang.org/x/sys/unix"

// dupOnto is dup2 with close-on-exec, which all descriptors of this process have.
func dupOnto(src, dst int) error {
	if err := unix.Dup2(src, dst); err != nil {
		return err
	}
	unix.CloseOnExec(dst)
	return nil
}
