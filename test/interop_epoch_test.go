//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// stock27 starts the stock daemon of 2.7, which has epoch keys.
func stock27(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
	t.Helper()
	return n.Start(t, daemontest.RequireOpenVPN27(t), args...)
}

// Both ends announce epoch keys, and both use them: over UDP and TCP, with every AEAD cipher, over renewals, in every role.
func TestEpochKeys(t *testing.T) {
	t.Parallel()
	for _, roles := range []struct {
		name           string
		server, client starter
	}{{"stock server", stock27, oursReleased}, {"stock client", oursReleased, stock27}, {"both ours", ours, ours}} {
		for _, tt := range []struct {
			name           string
			server, client []string
			renewals       int // in the time of the pings
			without        bool
		}{
			{name: "udp"},
			{name: "tcp", server: []string{"--proto", "tcp-server"}, client: []string{"--proto", "tcp-client"}},
			{name: "aes-128", client: []string{"--data-ciphers", "AES-128-GCM"}},
			{name: "chacha", client: []string{"--data-ciphers", "CHACHA20-POLY1305"}, server: []string{"--data-ciphers", "CHACHA20-POLY1305"}},
			{name: "fragments", server: []string{"--fragment", "1000", "--mssfix"}, client: []string{"--fragment", "1000", "--mssfix"}},
			{name: "renewed", server: []string{"--reneg-sec", "3"}, renewals: 2},
			{name: "renewed by the client", client: []string{"--reneg-sec", "3"}, renewals: 2},
			{name: "cbc", server: []string{"--data-ciphers", "AES-256-CBC"}, client: []string{"--data-ciphers", "AES-256-CBC"}, without: true},
		} {
			t.Run(roles.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				s := roles.server(t, l.server, l.serverArgs(tt.server...))
				s.WaitLine(t, up, upLimit)
				c := roles.client(t, l.client, l.clientArgs(tt.client...))
				c.WaitLine(t, up, upLimit)
				for _, p := range []*daemontest.Process{s, c} {
					if !tt.without {
						p.WaitLine(t, "aead-epoch", upLimit) // the server says so when the reply has left
					} else if strings.Contains(p.Log(), "aead-epoch") {
						t.Errorf("epoch keys with a cipher that has none\n%s", p.Log())
					}
				}
				count := 10
				if tt.renewals > 0 {
					count = 80
				}
				ping(t, l.client, "10.8.0.1", count, 0, "0.1")
				l.client.Run(t, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "-s", "1400", "10.8.0.1")
				ping(t, l.server, ownTunnelAddress(t, l.client), 3, 0, "0.1")
				if n := strings.Count(c.Log(), "Control Channel: TLS"); n <= tt.renewals {
					t.Errorf("%d handshakes, want more than %d", n, tt.renewals)
				}
				terminate(t, c)
			})
		}
	}
}

// Peers without a pull agree on epoch keys from what both announce.
func TestEpochKeysOfPeers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client starter
	}{{"stock server", stock27, ours}, {"stock client", ours, stock27}, {"both ours", ours, ours}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			both := []string{"--dev", "tun", "--verb", "4", "--ca", l.file("ca.crt"), "--ping", "5", "--ping-restart", "30"}
			s := tt.server(t, l.server, append([]string{
				"--tls-server", "--dh", "none", "--cert", l.file("server.crt"), "--key", l.file("server.key"), "--ifconfig", "10.8.0.1", "10.8.0.2",
			}, both...))
			c := tt.client(t, l.client, append([]string{
				"--tls-client", "--remote", "10.99.0.1", "--cert", l.file("client.crt"), "--key", l.file("client.key"), "--ifconfig", "10.8.0.2", "10.8.0.1",
			}, both...))
			for _, p := range []*daemontest.Process{s, c} {
				p.WaitLine(t, up, upLimit)
				await(t, "a line about epoch keys", upLimit, func() bool {
					log := p.Log()
					return strings.Contains(log, "aead-epoch") || strings.Contains(log, "Outgoing Epoch Data key 1")
				})
			}
			ping(t, l.client, "10.8.0.1", 5, 0, "0.1")
			terminate(t, c)
		})
	}
}

// Epochs of twenty packets: a stock peer follows ours from one to the next and answers in it, over renewals too, and loses nothing.
func TestShortEpochs(t *testing.T) {
	t.Parallel()
	daemontest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "openvpn")
	build := exec.Command("go", "build", "-ldflags", "-s -w -X github.com/moongate-vpn/moongate/daemon/data.shortEpochs=20", "-o", path, "../cmd/moongate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	short := func(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
		t.Helper()
		return n.Start(t, path, args...)
	}
	for _, roles := range []struct {
		name           string
		server, client starter
	}{{"stock server", stock27, short}, {"stock client", short, stock27}, {"both ours", short, short}} {
		t.Run(roles.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := roles.server(t, l.server, l.serverArgs("--reneg-sec", "3"))
			s.WaitLine(t, up, upLimit)
			c := roles.client(t, l.client, l.clientArgs())
			c.WaitLine(t, up, upLimit)
			s.WaitLine(t, "aead-epoch", upLimit)
			ping(t, l.client, "10.8.0.1", 300, 0, "0.02")
			ping(t, l.server, ownTunnelAddress(t, l.client), 100, 0, "0.02")
			if n := strings.Count(c.Log(), "Control Channel: TLS"); n < 2 {
				t.Errorf("%d handshakes: no key was renewed\n%s", n, c.Log())
			}
			terminate(t, c)
			terminate(t, s)
		})
	}
}
