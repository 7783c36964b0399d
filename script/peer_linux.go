package script

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerOf is the process on the other end of a unix socket, 0 when it is not known.
func peerOf(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil { //nolint:gosec // a descriptor
			pid = int(cred.Pid)
		}
	})
	return pid
}
