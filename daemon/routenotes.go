package daemon

import (
	"path/filepath"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// recoverRoutes repairs what killed daemons of this network namespace left of their routes, sweeps what they left in others
// that have ended, and opens the notes of this one. Each namespace has a folder of its own: routes mean nothing in another. Without notes a tunnel works as well.
func (p *process) recoverRoutes() {
	namespace, err := netconf.Namespace()
	if err != nil {
		return
	}
	dir := filepath.Join("/run/moongate", namespace)
	netconf.Recover(p.net, dir, p.lg.Msg)
	netconf.SweepNotes(filepath.Dir(dir))
	if p.notes, err = netconf.OpenNotes(dir, p.lg.Msg); err != nil {
		p.lg.Msg(logging.Detail, "no notes about routes: %v", err)
	}
}
