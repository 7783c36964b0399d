//go:build linux

package test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Every way to reach a stock server: our client connects, carries pings, and leaves the host as it found it.
func TestClientAgainstStockServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		files          func(t *testing.T, l *lab)
		line           string // in our log
	}{
		{name: "udp", line: "Data Channel: cipher 'AES-256-GCM', peer-id: 0"},
		{name: "tcp", server: []string{"--proto", "tcp-server"}, client: []string{"--proto", "tcp-client"}, line: "TCP connection established with [AF_INET]10.99.0.1:1194"},
		{name: "udp6", server: []string{"--proto", "udp6"}, client: []string{"--proto", "udp6", "--remote", "fd99::1", "1194"}, line: "UDPv6 link remote: [AF_INET6]fd99::1:1194"},
		{name: "tls-auth", server: []string{"--tls-auth", "ta.key", "0"}, client: []string{"--tls-auth", "ta.key", "1"}},
		{name: "tls-auth sha256", server: []string{"--tls-auth", "ta.key", "0", "--auth", "SHA256"}, client: []string{"--tls-auth", "ta.key", "1", "--auth", "SHA256"}},
		{name: "tls-crypt", server: []string{"--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "ta.key"}},
		{name: "tls-crypt tcp", server: []string{"--tls-crypt", "ta.key", "--proto", "tcp-server"}, client: []string{"--tls-crypt", "ta.key", "--proto", "tcp-client"}},
		{name: "tls-crypt-v2", server: []string{"--tls-crypt-v2", "v2s.key"}, client: []string{"--tls-crypt-v2", "v2c.key"}, files: v2Keys},
		{name: "chacha", server: []string{"--data-ciphers", "CHACHA20-POLY1305"}, line: "Data Channel: cipher 'CHACHA20-POLY1305', peer-id: 0"},
		{
			name: "cbc", server: []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"}, client: []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"},
			line: "Data Channel: cipher 'AES-256-CBC', auth 'SHA256', peer-id: 0",
		},
		{name: "rsa", server: []string{"--cert", "rsa.crt", "--key", "rsa.key"}, files: rsaServer},
		{name: "net30", server: []string{"--topology", "net30"}},
		{name: "tun-mtu", server: []string{"--tun-mtu", "1400"}, line: "OPTIONS IMPORT: tun-mtu set to 1400"},
		{name: "tls 1.2", server: []string{"--tls-version-max", "1.2"}, line: "Control Channel: TLSv1.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if tt.files != nil {
				tt.files(t, l)
			}
			before := network(t, l.client)
			l.stockServer(t, append(l.paths(tt.server), "--push", "route 172.16.0.0 255.240.0.0")...)
			c := ours(t, l.client, l.clientArgs(l.paths(tt.client)...))
			c.WaitLine(t, up, upLimit)
			if tt.line != "" {
				c.WaitLine(t, tt.line, upLimit)
			}
			ping(t, l.client, "10.8.0.1", 5, 0, "0.1")
			ping(t, l.server, ownTunnelAddress(t, l.client), 3, 0, "0.1")
			if routes := l.client.Run(t, "ip", "route"); !strings.Contains(routes, "172.16.0.0/12 via 10.8.0.") {
				t.Errorf("the pushed route is not there:\n%s", routes)
			}
			terminate(t, c)
			if diff := cmp.Diff(before, network(t, l.client)); diff != "" {
				t.Errorf("the host is not as it was (-before +after):\n%s", diff)
			}
			c.WaitLine(t, "SIGTERM[hard,] received, process exiting", upLimit)
		})
	}
}

// paths turns names of files in the lab into paths.
func (l *lab) paths(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if strings.HasSuffix(a, ".key") || strings.HasSuffix(a, ".crt") {
			out[i] = l.file(a)
		}
	}
	return out
}

func v2Keys(t *testing.T, l *lab) {
	exe := daemontest.RequireOpenVPN(t)
	l.server.Run(t, exe, "--genkey", "tls-crypt-v2-server", l.file("v2s.key"))
	l.server.Run(t, exe, "--tls-crypt-v2", l.file("v2s.key"), "--genkey", "tls-crypt-v2-client", l.file("v2c.key"))
}

func rsaServer(t *testing.T, l *lab) {
	l.issue(t, "rsa", pki.Spec{Name: "server", Server: true, Key: pki.RSA})
}

// ownTunnelAddress is the address of tun0.
func ownTunnelAddress(t *testing.T, n *daemontest.Namespace) string {
	t.Helper()
	for _, field := range strings.Fields(n.Run(t, "ip", "-br", "-4", "addr", "show", "dev", "tun0")) {
		if addr, _, _ := strings.Cut(field, "/"); strings.HasPrefix(addr, "10.8.") {
			return addr
		}
	}
	t.Fatal("tun0 has no address")
	return ""
}

// A server that renews its keys every three seconds: no ping is lost over several renewals.
func TestClientLosesNothingOverRenewals(t *testing.T) {
	t.Parallel()
	for _, wrap := range [][]string{nil, {"--tls-crypt", "ta.key"}} {
		t.Run(strings.Join(append([]string{"plain"}, wrap...), " "), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.stockServer(t, append(l.paths(wrap), "--reneg-sec", "3")...)
			c := ours(t, l.client, l.clientArgs(l.paths(wrap)...))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 130, 0, "0.1")
			if n := strings.Count(c.Log(), "Control Channel: TLS"); n < 4 {
				t.Errorf("%d handshakes in 13 s, want at least 4", n)
			}
			terminate(t, c)
		})
	}
}

// Our client renews keys by itself too.
func TestClientRenews(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	c := ours(t, l.client, l.clientArgs("--reneg-sec", "3"))
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 80, 0, "0.1")
	c.WaitLine(t, "TLS: soft reset", upLimit)
	terminate(t, c)
}

// An encrypted key and a login, both answered through the management port, in stock's order of prompts.
func TestClientAsksTheManagementPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.passwordServer(t)
	leaf := l.issue(t, "locked", pki.Spec{Name: "client1"})
	key, err := leaf.EncryptedKey("sesame")
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "locked.key", key)
	sock := l.file("mgmt.sock")
	c := ours(t, l.client, l.clientArgs("--cert", l.file("locked.crt"), "--key", l.file("locked.key"), "--auth-user-pass",
		"--auth-retry", "interact", "--management", sock, "unix", "--management-hold", "--management-query-passwords"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindPassword)
	need := func(want string) {
		t.Helper()
		n, err := notified(t, sub)
		if err != nil {
			t.Fatal(err)
		}
		if n.Text != want {
			t.Fatalf("notification %q, want %q", n.Text, want)
		}
	}
	do(t, m, "hold", "off")
	do(t, m, "hold", "release")
	need("Need 'Auth' username/password")
	do(t, m, "username", "Auth", "user1")
	do(t, m, "password", "Auth", "wrong one")
	need("Need 'Private Key' password")
	do(t, m, "password", "Private Key", "not sesame")
	need("Verification Failed: 'Private Key'")
	need("Need 'Private Key' password")
	do(t, m, "password", "Private Key", "sesame")
	need("Verification Failed: 'Auth'")
	need("Need 'Auth' username/password")
	do(t, m, "username", "Auth", "user1")
	do(t, m, "password", "Auth", "good one")
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	want := []string{
		"CONNECTING", "RECONNECTING,private-key-password-failure", "WAIT", "AUTH", "RECONNECTING,auth-failure",
		"WAIT", "AUTH", "ASSIGN_IP", "CONNECTED,SUCCESS",
	}
	got := slices.DeleteFunc(states(t, m), func(s string) bool { return s == "GET_CONFIG" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if log := c.Log(); strings.Contains(log, "good one") || strings.Contains(log, "sesame\"") {
		t.Error("a password is in the log")
	}
	terminate(t, c)
}

// passwordServer starts a stock server that lets in whoever has the password "good one".
func (l *lab) passwordServer(t *testing.T, extra ...string) *daemontest.Process {
	t.Helper()
	script := l.write(t, "verify.sh", []byte("#!/bin/sh\n{ read user; read pass; } <\"$1\"\ntest \"$pass\" = 'good one'\n"))
	if err := syscall.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	return l.stockServer(t, append([]string{"--script-security", "2", "--auth-user-pass-verify", script, "via-file"}, extra...)...)
}

// A server that goes away and comes back: the client notices and connects again.
func TestClientFollowsAServerThatReturns(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.stockServer(t, "--keepalive", "1", "3")
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	s.Signal(t, syscall.SIGKILL)
	s.Wait(t, 5*time.Second)
	c.WaitLine(t, "[server] Inactivity timeout (--ping-restart), restarting", 15*time.Second)
	from := c.Lines()
	l.stockServer(t)
	c.WaitLineAfter(t, from, up, 90*time.Second)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

// Exit notification: the server hears it and forgets the client at once.
func TestClientSaysGoodbye(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.stockServer(t)
	c := ours(t, l.client, l.clientArgs("--explicit-exit-notify", "1"))
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
	expectInOrder(t, c.Log(), []string{
		"SIGTERM received, sending exit notification to peer", "SENT CONTROL [server]: 'EXIT' (status=1)", "SIGTERM[soft,exit-with-notification] received, process exiting",
	})
	s.WaitLine(t, "xit message received by peer", upLimit)
}

// One packet in six is lost on the way, each direction: the client connects all the same.
func TestClientInBadWeather(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	port := lossyWay(t, l.client, netip.MustParseAddrPort("10.99.0.1:1194"), daemontest.Weather{Loss: 0.16, Duplicate: 0.05, Reorder: 0.2, ReorderBy: 30 * time.Millisecond})
	c := ours(t, l.client, l.clientArgs("--remote", "127.0.0.1", fmt.Sprint(port)))
	c.WaitLine(t, up, 60*time.Second)
	ping(t, l.client, "10.8.0.1", 40, 25, "0.1")
	terminate(t, c)
}

// lossyWay forwards datagrams from a port on the namespace's loopback to target and back, in bad weather.
func lossyWay(t *testing.T, n *daemontest.Namespace, target netip.AddrPort, w daemontest.Weather) int {
	t.Helper()
	var near, far *net.UDPConn
	n.Do(t, func() (err error) {
		if near, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return err
		}
		far, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(target))
		return err
	})
	var mu sync.Mutex
	var peer netip.AddrPort
	var wg sync.WaitGroup
	relay := func(seed uint64, read func([]byte) (int, error), write func([]byte)) {
		link := daemontest.NewLossy(seed, w)
		buf := make([]byte, 2048)
		for {
			k, err := read(buf)
			now := time.Now()
			if k > 0 {
				link.Send(buf[:k], now)
			}
			for p, ok := link.Recv(now); ok; p, ok = link.Recv(now) {
				write(p)
			}
			if err != nil && !isTimeout(err) {
				return
			}
		}
	}
	tick := func(c *net.UDPConn) { _ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) }
	wg.Go(func() {
		relay(1, func(b []byte) (int, error) {
			tick(near)
			k, from, err := near.ReadFromUDPAddrPort(b)
			if err == nil {
				mu.Lock()
				peer = from
				mu.Unlock()
			}
			return k, err
		}, func(p []byte) { _, _ = far.Write(p) })
	})
	wg.Go(func() {
		relay(2, func(b []byte) (int, error) { tick(far); return far.Read(b) }, func(p []byte) {
			mu.Lock()
			to := peer
			mu.Unlock()
			_, _ = near.WriteToUDPAddrPort(p, to)
		})
	})
	t.Cleanup(func() {
		near.Close()
		far.Close()
		wg.Wait()
	})
	return near.LocalAddr().(*net.UDPAddr).Port
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error) //nolint:errorlint // straight from the socket
	return ok && ne.Timeout()
}
