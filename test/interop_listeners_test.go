//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// One server on several addresses, ports and protocols: a client of each daemon on each of them, one pool, one status. Two of the
// clients have the same address and port, and only the socket they came to tells them apart.
func TestSeveralListeners(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("server.sock")
	s := l.ourServer(t, "--compat", "2.7", "--duplicate-cn", "--management", sock, "unix",
		"--local", "10.99.0.1", "--local", "*", "1195", "tcp", "--local", "10.99.0.1", "1196", "--local", "fd99::1", "1197", "udp6")
	for _, line := range []string{
		"UDPv4 link local (bound): [AF_INET]10.99.0.1:1194", "TCPv4_SERVER link local (bound): [AF_INET][undef]:1195",
		"UDPv4 link local (bound): [AF_INET]10.99.0.1:1196", "UDPv6 link local (bound): [AF_INET6]fd99::1:1197",
	} {
		s.WaitLine(t, line, upLimit)
	}
	ways := [][]string{
		{"--remote", "10.99.0.1", "1194", "--lport", "5000"},
		{"--remote", "10.99.0.1", "1195", "tcp-client", "--lport", "5000"},
		{"--remote", "10.99.0.1", "1196"},
		{"--remote", "fd99::1", "1197", "udp6"},
	}
	var clients []*daemontest.Process
	for i, way := range ways {
		start := []starter{ours, stock}[i%2]
		device := fmt.Sprint("tun", i)
		c := start(t, l.client, l.clientArgs(append(way, "--dev", device)...))
		c.WaitLine(t, up, upLimit)
		l.client.Run(t, "ping", "-n", "-I", device, "-c", "3", "-i", "0.1", "-W", "2", "10.8.0.1")
		clients = append(clients, c)
	}
	r, err := manage(t, sock).Cmd(t.Context(), "status 2")
	if err != nil {
		t.Fatal(err)
	}
	status := strings.Join(r.Raw, "\n")
	if n := strings.Count(status, "CLIENT_LIST,client1,"); n != len(ways) {
		t.Errorf("%d clients in the status\n%s", n, status)
	}
	for _, way := range []string{"udp4:10.99.0.2:5000", "tcp4-server:10.99.0.2:5000", "udp4:10.99.0.2:", "udp6:[fd99::2]:"} {
		if !strings.Contains(status, "CLIENT_LIST,client1,"+way) {
			t.Errorf("no client at %s in the status\n%s", way, status)
		}
	}
	// Of two clients at one address and port, kill ends the one that is meant.
	if r, err := manage(t, sock).Cmd(t.Context(), "kill tcp:10.99.0.2:5000"); err != nil || r.Text() != "1 client(s) at address tcp-server:10.99.0.2:5000 killed" {
		t.Errorf("kill: %v, %v", r, err)
	}
	for _, c := range clients {
		terminate(t, c)
	}
	terminate(t, s)
}

// A server binds all of its listeners or starts with none.
func TestListenerThatIsTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	first := l.ourServer(t, "--local", "10.99.0.1", "1196")
	s := ours(t, l.server, l.serverArgs("--local", "10.99.0.1", "1195", "tcp", "--local", "10.99.0.1", "1196"))
	if code := s.Wait(t, upLimit); code == 0 {
		t.Errorf("exit status 0\n%s", s.Log())
	}
	if !strings.Contains(s.Log(), "10.99.0.1:1196") {
		t.Errorf("the log does not name the address\n%s", s.Log())
	}
	terminate(t, first)
}

// The lines of OpenVPN's own self-test of its servers: local with port and protocol, and no dh. A reload tells that changed local lines
// wait for a restart, which then moves the server.
func TestServerMovesItsListeners(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("server.sock")
	configure := func(locals string) string {
		return l.write(t, "server.conf", []byte("dev tun\nserver 10.8.0.0 255.255.255.0\ntopology subnet\nverb 3\nkeepalive 10 60\nca ca.crt\ncert server.crt\nkey server.key\n"+locals))
	}
	path := configure("local 10.99.0.1 1194 udp\nlocal 10.99.0.1 1195 tcp-server\n")
	s := ours(t, l.server, []string{"--cd", l.dir, "--config", path, "--management", sock, "unix"})
	s.WaitLine(t, up, upLimit)
	connect := func(way ...string) {
		t.Helper()
		c := stock(t, l.client, l.clientArgs(append([]string{"--remote", "10.99.0.1"}, way...)...))
		c.WaitLine(t, up, upLimit)
		l.client.Run(t, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "10.8.0.1")
		terminate(t, c)
	}
	connect("1194", "udp")
	connect("1195", "tcp-client")

	configure("local 10.99.0.1 1196 udp\nlocal 10.99.0.1 1195 tcp-server\n")
	port := manage(t, sock)
	r, err := port.Cmd(t.Context(), "reload")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Body(), " "); got != "local,restart" {
		t.Errorf("the reload says %q", got)
	}
	connect("1194", "udp")
	if _, err := port.Cmd(t.Context(), "signal SIGHUP"); err != nil {
		t.Fatal(err)
	}
	s.WaitLine(t, "UDPv4 link local (bound): [AF_INET]10.99.0.1:1196", upLimit)
	connect("1196", "udp")
	connect("1195", "tcp-client")
	terminate(t, s)
	if log := s.Log(); strings.Count(log, "[AF_INET]10.99.0.1:1194") != 1 {
		t.Errorf("the server went back to the old port\n%s", log)
	}
}
