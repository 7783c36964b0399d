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
	s := l.ourServer(t, "--duplicate-cn", "--management", sock, "unix",
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
