//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package env

import "golang.org/x/sys/unix"

const getTermios, setTermios = unix.TIOCGETA, unix.TIOCSETA

// noKey stands for a key that does nothing.
const noKey = 0xff
