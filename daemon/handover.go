package daemon

import (
	"os"
	"path/filepath"

	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tunnel"
)

// handOver prepares what has to be written after the privileges are gone: the notes about routes.
func (p *process) handOver() {
	path := tunnel.JournalPath(p.stateDir)
	if path == "" || p.privileges.uid <= 0 {
		return
	}
	err := netconf.HandOver(path, p.privileges.uid, p.privileges.gid)
	if err == nil {
		err = os.Chmod(filepath.Dir(p.stateDir), 0o711) //nolint:gosec // to pass through
	}
	if err != nil {
		p.Log(4, "", "%v", err) // without the notes the tunnel works as well
	}
}
