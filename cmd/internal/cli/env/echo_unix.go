//go:build unix

package env

import "golang.org/x/sys/unix"

// noEcho switches the echo of a terminal off; lines stay lines and keys that interrupt go on doing so.
func noEcho(fd int) error {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	t.Lflag |= unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, setTermios, t)
}
