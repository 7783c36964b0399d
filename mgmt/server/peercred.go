package server

import (
	"fmt"
	"net"

	"github.com/moongate-vpn/moongate/mgmt/peercred"
)

// PeerCredentials makes a check for Access that lets in processes of a user and a group, by number; -1 is any. Other
// connections are closed without a byte.
func PeerCredentials(uid, gid int) func(net.Conn) error {
	return func(conn net.Conn) error {
		peer, err := peercred.Of(conn)
		switch {
		case err != nil:
			return err
		case uid >= 0 && peer.UID != uid:
			return fmt.Errorf("its user id is %d and not %d (management-client-user)", peer.UID, uid)
		case gid >= 0 && peer.GID != gid:
			return fmt.Errorf("its group id is %d and not %d (management-client-group)", peer.GID, gid)
		}
		return nil
	}
}
