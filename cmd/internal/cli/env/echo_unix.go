//go:build unix

package env

import "golang.org/x/sys/unix"

// noEcho switches the echo of a terminal off; lines stay lines and Ctrl-C still interrupts. The keys that stop the program or let it die on the spot
// do nothing: it could not switch the echo on again, or off where it goes on.
func noEcho(fd int) error {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	t.Lflag |= unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	t.Cc[unix.VQUIT], t.Cc[unix.VSUSP] = noKey, noKey
	return unix.IoctlSetTermios(fd, setTermios, t)
}
