//go:build linux

package test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// ourServer starts our server and waits until it listens.
func (l *lab) ourServer(t testing.TB, extra ...string) *daemontest.Process {
	t.Helper()
	p := ours(t, l.server, l.serverArgs(l.paths(extra)...))
	p.WaitLine(t, up, upLimit)
	return p
}

// stockClient starts a stock client and waits until it is connected.
func (l *lab) stockClient(t *testing.T, extra ...string) *daemontest.Process {
	t.Helper()
	p := stock(t, l.client, l.clientArgs(l.paths(extra)...))
	p.WaitLine(t, up, upLimit)
	return p
}

// Every way a client reaches our server, the stock one and ours: it connects, carries pings both ways, and both leave the
// hosts as they found them.
func TestServerWithClient(t *testing.T) {
	t.Parallel()
	tcp := []string{"--proto", "tcp-server"}
	toTCP := []string{"--proto", "tcp-client"}
	for _, tt := range []struct {
		name           string
		server, client []string
		files          func(t *testing.T, l *lab)
		line           string // in the server's log
		clientLine     string // in the client's log
		target         string // to ping, "" the server's tunnel address
	}{
		{
			name: "udp", line: "Data Channel: cipher 'AES-256-GCM', peer-id: 0",
			clientLine: "'PUSH_REPLY,route-gateway 10.8.0.1,topology subnet,ping 10,ping-restart 60,ifconfig 10.8.0.2 255.255.255.0,peer-id 0,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt",
		},
		{name: "tcp", server: tcp, client: toTCP, line: "TCP connection established with [AF_INET]10.99.0.2:"},
		{name: "udp6", server: []string{"--proto", "udp6"}, client: []string{"--proto", "udp6", "--remote", "fd99::1", "1194"}},
		{name: "tcp6", server: []string{"--proto", "tcp6-server"}, client: []string{"--proto", "tcp6-client", "--remote", "fd99::1", "1194"}},
		{name: "dual stack", server: []string{"--proto", "udp6"}, line: "10.99.0.2:"},
		{name: "tls-auth", server: []string{"--tls-auth", "ta.key", "0"}, client: []string{"--tls-auth", "ta.key", "1"}},
		{name: "tls-auth without direction", server: []string{"--tls-auth", "ta.key"}, client: []string{"--tls-auth", "ta.key"}},
		{name: "tls-auth sha256", server: []string{"--tls-auth", "ta.key", "0", "--auth", "SHA256"}, client: []string{"--tls-auth", "ta.key", "1", "--auth", "SHA256"}},
		{name: "tls-crypt", server: []string{"--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "ta.key"}},
		{name: "tls-crypt tcp", server: append([]string{"--tls-crypt", "ta.key"}, tcp...), client: append([]string{"--tls-crypt", "ta.key"}, toTCP...)},
		{name: "tls-crypt-v2", server: []string{"--tls-crypt-v2", "v2s.key"}, client: []string{"--tls-crypt-v2", "v2c.key"}, files: v2Keys},
		{name: "tls-crypt-v2 cookie", server: []string{"--tls-crypt-v2", "v2s.key", "force-cookie"}, client: []string{"--tls-crypt-v2", "v2c.key"}, files: v2Keys},
		{name: "tls-crypt-v2 tcp", server: append([]string{"--tls-crypt-v2", "v2s.key"}, tcp...), client: append([]string{"--tls-crypt-v2", "v2c.key"}, toTCP...), files: v2Keys},
		{name: "tls-crypt-v2 beside tls-crypt", server: []string{"--tls-crypt-v2", "v2s.key", "--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "ta.key"}, files: v2Keys},
		{name: "chacha", server: []string{"--data-ciphers", "CHACHA20-POLY1305"}, line: "cipher 'CHACHA20-POLY1305'"},
		{name: "aes-128", client: []string{"--data-ciphers", "AES-128-GCM"}, line: "cipher 'AES-128-GCM'"},
		{
			name: "cbc", server: []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"}, client: []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"},
			line: "Data Channel: cipher 'AES-256-CBC', auth 'SHA256'",
		},
		{
			name: "offers cbc alone", server: []string{"--data-ciphers", "AES-256-GCM:AES-128-CBC", "--auth", "SHA256"}, client: []string{"--data-ciphers", "AES-128-CBC", "--auth", "SHA256"},
			line: "Data Channel: cipher 'AES-128-CBC', auth 'SHA256'",
		},
		{name: "as 2.4", client: []string{"--compat-mode", "2.4.0", "--cipher", "AES-256-CBC"}, line: "Data Channel: cipher 'AES-256-GCM'"},
		{
			name: "as 2.3", server: []string{"--data-ciphers-fallback", "AES-256-CBC"}, client: []string{"--compat-mode", "2.3.0", "--cipher", "AES-256-CBC"},
			line: "Data Channel: cipher 'AES-256-GCM'",
		},
		{
			name: "cipher by options string", server: []string{"--data-ciphers", "AES-192-CBC"}, client: []string{"--data-ciphers", "AES-192-CBC", "--data-ciphers-fallback", "AES-192-CBC"},
			line: "Data Channel: cipher 'AES-192-CBC', auth 'SHA1'",
		},
		{
			name: "no options string", server: []string{"--disable-occ"}, client: []string{"--disable-occ"},
			line: "Data Channel: cipher 'AES-256-GCM'",
		},
		{name: "rsa", server: []string{"--cert", "rsa.crt", "--key", "rsa.key"}, files: rsaServer},
		{name: "tls 1.2", client: []string{"--tls-version-max", "1.2"}, line: "Control Channel: TLSv1.2"},
		{name: "net30", server: []string{"--topology", "net30"}, clientLine: "ifconfig 10.8.0.6 10.8.0.5"},
		{name: "p2p", server: []string{"--topology", "p2p"}, clientLine: "ifconfig 10.8.0.4 10.8.0.1"},
		{
			name: "ipv6 inside", server: []string{"--server-ipv6", "fd08::/64", "--push", "route-ipv6 fd77::/48"}, target: "fd08::1",
			clientLine: "ifconfig-ipv6 fd08::1000/64 fd08::1",
		},
		{name: "fragment and mssfix", server: []string{"--fragment", "1000", "--mssfix"}, client: []string{"--fragment", "1000", "--mssfix"}},
		{name: "tun-mtu", server: []string{"--tun-mtu", "1400"}, clientLine: "tun-mtu 1400"},
		{name: "stub compression", server: []string{"--compress", "stub-v2", "--push", "compress stub-v2"}, client: []string{"--compress", "stub-v2"}},
		{name: "comp-lzo no", server: []string{"--comp-lzo", "no"}, client: []string{"--comp-lzo", "no"}},
		{name: "no ekm", client: []string{"--data-ciphers", "AES-256-GCM", "--setenv", "UV_TEST", "1", "--push-peer-info"}, line: "peer info: UV_TEST=1"},
	} {
		for client, start := range programs {
			t.Run(tt.name+"/"+client, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				if tt.files != nil {
					tt.files(t, l)
				}
				before := network(t, l.server)
				server := ours
				if client == "stock" {
					server = oursReleased // both ends of ours look for races
				}
				s := server(t, l.server, l.serverArgs(l.paths(tt.server)...))
				s.WaitLine(t, up, upLimit)
				c := start(t, l.client, l.clientArgs(l.paths(tt.client)...))
				c.WaitLine(t, up, upLimit)
				if tt.line != "" {
					s.WaitLine(t, tt.line, upLimit)
				}
				if tt.clientLine != "" {
					c.WaitLine(t, tt.clientLine, upLimit)
				}
				target := tt.target
				if target == "" {
					target = "10.8.0.1"
				}
				if strings.Contains(target, ":") {
					firstAnswer(t, l.client, target)
				}
				ping(t, l.client, target, 5, 0, "0.1")
				l.client.Run(t, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "-s", "1350", "10.8.0.1")
				ping(t, l.server, ownTunnelAddress(t, l.client), 3, 0, "0.1")
				terminate(t, c)
				terminate(t, s)
				if diff := cmp.Diff(before, network(t, l.server)); diff != "" {
					t.Errorf("the host is not as it was (-before +after):\n%s", diff)
				}
				s.WaitLine(t, "SIGTERM[hard,] received, process exiting", upLimit)
			})
		}
	}
}
