package logging

import "golang.org/x/sys/unix"

// dupOnto is dup2 with close-on-exec, which all descriptors of this process have.
func dupOnto(src, dst int) error { return unix.Dup3(src, dst, unix.O_CLOEXEC) }
