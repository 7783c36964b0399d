//go:build unix

package logging

import "os"

// replace makes the descriptor of f one for what fresh has open.
func replace(f, fresh *os.File) error {
	to, err := f.SyscallConn()
	if err != nil {
		return err
	}
	from, err := fresh.SyscallConn()
	if err != nil {
		return err
	}
	var dupErr error
	err = from.Control(func(src uintptr) {
		if cerr := to.Control(func(dst uintptr) { dupErr = dupOnto(int(src), int(dst)) }); cerr != nil {
			dupErr = cerr
		}
	})
	if err == nil {
		err = dupErr
	}
	return err
}
