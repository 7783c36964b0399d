//go:build linux

package test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// roamer is a client of ours whose host moves to another address, with a server of either kind.
type roamer struct {
	*lab
	server, c *daemontest.Process
	port      *client.Client // of the client
}

func newRoamer(t *testing.T, server starter, serverArgs, clientArgs []string) *roamer {
	t.Helper()
	l := newLab(t)
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	s := server(t, l.server, l.serverArgs(serverArgs...))
	s.WaitLine(t, up, upLimit)
	sock := l.file("client.sock")
	c := ours(t, l.client, l.clientArgs(append([]string{"--management", sock, "unix", "--persist-tun"}, clientArgs...)...))
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 1, "0.05")
	return &roamer{l, s, c, manage(t, sock)}
}

// roam gives the client's host another address, and takes away the one the connection has.
func (r *roamer) roam(t *testing.T) {
	t.Helper()
	r.client.Run(t, "ip", "addr", "add", "10.99.0.77/24", "dev", "eth0")
	r.client.Run(t, "ip", "addr", "del", "10.99.0.2/24", "dev", "eth0")
	r.client.Run(t, "ip", "addr", "replace", "10.99.0.77/24", "dev", "eth0")
	r.client.Run(t, "ip", "route", "replace", "default", "via", "10.99.0.1")
}

// A connection over UDP goes on from the new address, without anybody being asked or told anything.
func TestNetworkChange(t *testing.T) {
	t.Parallel()
	for name, server := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoamer(t, server, nil, nil)
			before := states(t, r.port)
			r.roam(t)
			if out, err := r.client.TryRun("ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", "10.8.0.1"); err == nil {
				t.Fatalf("the old address is still good:\n%s", out)
			}
			do(t, r.port, "network-change")
			r.c.WaitLine(t, "Network changed, going on from a new socket", upLimit)
			ping(t, r.client, "10.8.0.1", 100, 1, "0.01") // the first may be faster than the server learns
			do(t, r.port, "signal", "SIGUSR2")            // answered by the same attempt
			if diff := cmp.Diff(before, states(t, r.port)); diff != "" {
				t.Errorf("states (-before +after):\n%s", diff)
			}
			do(t, r.port, "network-change", "samenetwork")
			ping(t, r.client, "10.8.0.1", 10, 0, "0.01")
			if n := strings.Count(r.c.Log(), "link remote"); n != 2 {
				t.Errorf("%d sockets, want two", n)
			}
			terminate(t, r.c)
			terminate(t, r.server)
		})
	}
}

// What cannot go on connects again at once: over TCP, with routes around the tunnel, which are then those of the new
// network, and in a pause.
func TestNetworkChangeReconnects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		kept           bool // the device
	}{
		{"tcp", []string{"--proto", "tcp-server"}, []string{"--proto", "tcp-client"}, true},
		{"redirect-gateway", []string{"--push", "redirect-gateway def1"}, nil, false},
		{"local", nil, []string{"--local", "10.99.0.2", "--lport", "0"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRoamer(t, stock, tt.server, tt.client)
			if tt.name == "local" {
				r.client.Run(t, "ip", "addr", "add", "10.99.0.77/24", "dev", "eth0")
			} else {
				r.roam(t)
			}
			from := r.c.Lines()
			do(t, r.port, "network-change")
			r.c.WaitLineAfter(t, from, "SIGUSR1[soft,network-change] received, process restarting", upLimit)
			r.c.WaitLineAfter(t, from, up, upLimit)
			ping(t, r.client, "10.8.0.1", 10, 1, "0.01")
			log := r.c.Log()
			if strings.Contains(log, "Restart pause") {
				t.Errorf("it paused:\n%s", log)
			}
			if kept := strings.Contains(log, "Preserving previous TUN/TAP instance"); kept != tt.kept {
				t.Errorf("device kept: %v, want %v", kept, tt.kept)
			}
			terminate(t, r.c)
		})
	}
	t.Run("pause", func(t *testing.T) {
		t.Parallel()
		r := newRoamer(t, stock, nil, []string{"--connect-retry", "300", "300"})
		from := r.c.Lines()
		do(t, r.port, "signal", "SIGUSR1")
		r.c.WaitLineAfter(t, from, "Restart pause, 300 second(s)", upLimit)
		do(t, r.port, "network-change")
		r.c.WaitLineAfter(t, from, up, upLimit)
		terminate(t, r.c)
	})
}
