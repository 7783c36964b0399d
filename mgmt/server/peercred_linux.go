package server

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// PeerCredentials makes a check for Access that lets in processes of a user and a group, by number; -1 is any. Other
// connections are closed without a byte.
func PeerCredentials(uid, gid int) func(net.Conn) error {
	return func(conn net.Conn) error {
		uc, ok := conn.(*net.UnixConn)
		if !ok {
			return fmt.Errorf("peer credentials need a unix socket, not %T", conn)
		}
		raw, err := uc.SyscallConn()
		if err != nil {
			return err
		}
		var cred *unix.Ucred
		var credErr error
		if err := raw.Control(func(fd uintptr) {
			cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		}); err != nil {
			return err
		}
		switch {
		case credErr != nil:
			return fmt.Errorf("peer credentials: %w", credErr)
		case uid >= 0 && int(cred.Uid) != uid:
			return fmt.Errorf("its user id is %d and not %d (management-client-user)", cred.Uid, uid)
		case gid >= 0 && int(cred.Gid) != gid:
			return fmt.Errorf("its group id is %d and not %d (management-client-group)", cred.Gid, gid)
		}
		return nil
	}
}
