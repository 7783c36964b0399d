//go:build linux

package test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	vpnpki "github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// A node serves as user nobody: its engine writes, the routes to its clients come and go, over a restart of the server and one of the daemon.
// A folder that the user cannot enter is refused with the reason.
func TestFleetNodeOfUserNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := l.file("node")
	if _, err := vpnpki.Init(dir, vpnpki.Plan{Name: "a", Address: "10.99.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	n := &fleetNode{name: "a", dir: dir, sock: l.file("a.sock"), ns: l.server}
	args := l.serverArgs("--fleet", dir, "--management", n.sock, "unix", "--user", "nobody", "--group", "nogroup", "--persist-tun", "--persist-key", "--dev", "tun0",
		"--keepalive", "1", "4", "--fleet-route", "kernel", "--fleet-route", "relay", "--fleet-route", "proxy-arp", "eth0")
	closed := filepath.Dir(l.dir) // of the test alone, as folders in /tmp are
	refused := ours(t, l.server, args)
	refused.WaitLine(t, "user nobody may not enter "+closed+": ", upLimit)
	refused.Wait(t, upLimit)
	if err := os.Chmod(closed, 0o711); err != nil { //nolint:gosec // the user has to pass
		t.Fatal(err)
	}
	route := func(there bool) {
		t.Helper()
		daemontest.Await(t, "the route to the client", func() bool {
			return strings.Contains(l.server.Run(t, "ip", "route", "show", "proto", "109"), " dev tun0 ") == there
		})
	}
	ready := func() {
		t.Helper()
		daemontest.Await(t, "the store answers", func() bool {
			s, err := n.status(t)
			return err == nil && s.Store == "up"
		})
	}
	server := ours(t, l.server, args)
	server.WaitLine(t, up, upLimit)
	ready()
	c := stock(t, l.client, l.clientArgs("--connect-retry", "1", "--keepalive", "1", "4"))
	c.WaitLine(t, up, upLimit)
	route(true)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.2")

	from, back := server.Lines(), c.Lines()
	server.Signal(t, syscall.SIGUSR1)
	server.WaitLineAfter(t, from, up, upLimit)
	c.WaitLineAfter(t, back, up, upLimit)
	route(true)
	terminate(t, server)
	if left := l.server.Run(t, "ip", "neigh", "show", "proxy"); left != "" {
		t.Errorf("the node that has ended answers for %s", left)
	}

	back = c.Lines()
	server = ours(t, l.server, args)
	server.WaitLine(t, up, upLimit)
	ready()
	c.WaitLineAfter(t, back, up, upLimit)
	route(true)
	for _, bad := range []string{"denied", "not permitted"} {
		if log := server.Log(); strings.Contains(log, bad) {
			t.Errorf("the log says %q:\n%s", bad, log)
		}
	}
}
