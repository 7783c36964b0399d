package env

import "golang.org/x/sys/unix"

const getTermios, setTermios = unix.TCGETS, unix.TCSETS

// noKey stands for a key that does nothing.
const noKey = 0
