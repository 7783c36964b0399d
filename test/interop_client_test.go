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
				c.WaitLine(t, tt.line, time.Second)
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
			c.WaitLine(t, "SIGTERM[hard,] received, process exiting", time.Second)
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
	c.WaitLine(t, "TLS: soft reset", time.Second)
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

// What goes wrong, and how our client and the stock one say so: the same lines, the same states, the same exit status.
func TestClientFailsLikeStock(t *testing.T) {
	for _, tt := range []struct {
		name           string
		server, client []string
		noServer       bool
		files          func(t *testing.T, l *lab)
		wait           string   // line that ends the comparison
		lines          []string // that both must have logged, in this order
		states         []string
		ends           int // exit status; -1: goes on until told
	}{
		{
			name: "wrong password", server: []string{"PASSWORD"}, client: []string{"--auth-user-pass", "login.key"}, wait: "process exiting",
			lines:  []string{"AUTH: Received control message: AUTH_FAILED", "SIGTERM[soft,auth-failure] received, process exiting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "EXITING,auth-failure"},
		},
		{
			name: "wrong passphrase", client: []string{"--key", "locked.key", "--askpass", "phrase.key"}, wait: "Exiting due to fatal error", ends: 1,
			lines:  []string{"Cannot load private key file", "Error: private key password verification failed", "Exiting due to fatal error"},
			states: []string{"CONNECTING"},
		},
		{
			name: "foreign server", server: []string{"--ca", "other.crt", "--cert", "foreign.crt", "--key", "foreign.key"}, files: foreignServer, wait: "Restart pause", ends: -1,
			lines: []string{
				"VERIFY ERROR: depth=1, error=self-signed certificate in certificate chain: CN=Other CA", "TLS_ERROR: BIO read tls_read_plaintext error",
				"TLS Error: TLS object -> incoming plaintext read error", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting", "Restart pause, 1 second(s)",
			},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "client certificate as server", server: []string{"--cert", "client.crt", "--key", "client.key"}, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY ERROR: depth=0, error=unsuitable certificate purpose: CN=client1", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "other name", client: []string{"--verify-x509-name", "somebody", "name"}, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY X509NAME ERROR: CN=server, must be somebody", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "expired certificate", client: []string{"--cert", "old.crt", "--key", "old.key", "--hand-window", "4"}, files: expiredClient, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY OK: depth=0, CN=server", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "other tls-crypt key", server: []string{"--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "other-ta.key", "--hand-window", "3"}, wait: "Restart pause", ends: -1,
			lines:  []string{"TLS Error: TLS key negotiation failed to occur within 3 seconds (check your network connectivity)", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received"},
			states: []string{"CONNECTING", "WAIT", "RECONNECTING,tls-error"},
		},
		{
			name: "nobody there", noServer: true, client: []string{"--connect-timeout", "2"}, wait: "SIGUSR1", ends: -1,
			lines:  []string{"Server poll timeout, restarting", "SIGUSR1[soft,server_poll] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "RECONNECTING,server_poll"},
		},
		{
			name: "tcp refused", noServer: true, client: []string{"--proto", "tcp-client"}, wait: "Restart pause", ends: -1,
			lines: []string{
				"Attempting to establish TCP connection with [AF_INET]10.99.0.1:1194", "TCP: connect to [AF_INET]10.99.0.1:1194 failed: Connection refused",
				"SIGUSR1[connection failed(soft),connection-failed] received, process restarting", "Restart pause, 1 second(s)",
			},
			states: []string{"CONNECTING", "TCP_CONNECT", "RECONNECTING,connection-failed"},
		},
		{
			name: "no common cipher", server: []string{"--data-ciphers", "AES-128-GCM"}, client: []string{"--data-ciphers", "AES-256-GCM"}, wait: "process exiting",
			lines:  []string{"AUTH: Received control message: AUTH_FAILED,Data channel cipher negotiation failed (no shared cipher)", "SIGTERM[soft,auth-failure] received, process exiting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "EXITING,auth-failure"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.write(t, "login.key", []byte("user1\nbad one\n"))
			l.write(t, "phrase.key", []byte("not sesame\n"))
			l.write(t, "other-ta.key", pki.StaticKey())
			l.lockedKey(t)
			if tt.files != nil {
				tt.files(t, l)
			}
			switch {
			case tt.noServer:
			case slices.Contains(tt.server, "PASSWORD"):
				l.passwordServer(t)
			default:
				l.stockServer(t, l.paths(tt.server)...)
			}
			for who, start := range programs {
				t.Run(who, func(t *testing.T) {
					sock := l.file(who + ".sock")
					// A management client that reads everything: the state history outlives nothing, so it holds at start.
					c := start(t, l.client, l.clientArgs(append(l.paths(tt.client), "--management", sock, "unix", "--management-hold")...))
					m := manage(t, sock)
					sub := m.Subscribe(mgmt.KindState)
					do(t, m, "state", "on")
					do(t, m, "hold", "off")
					do(t, m, "hold", "release")
					c.WaitLine(t, tt.wait, 20*time.Second)
					expectInOrder(t, c.Log(), tt.lines)
					got := []string{"CONNECTING"}
					for len(got) < len(tt.states) {
						n, err := notified(t, sub)
						if err != nil {
							break
						}
						s, err := mgmt.ParseState(n.Text)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, stateText(s))
					}
					if diff := cmp.Diff(tt.states, got); diff != "" {
						t.Errorf("states (-want +got):\n%s", diff)
					}
					if tt.ends < 0 {
						terminate(t, c)
					} else if code := c.Wait(t, 10*time.Second); code != tt.ends {
						t.Errorf("exit status %d, want %d", code, tt.ends)
					}
				})
			}
		})
	}
}

func (l *lab) lockedKey(t *testing.T) {
	t.Helper()
	leaf := l.issue(t, "locked", pki.Spec{Name: "client1"})
	key, err := leaf.EncryptedKey("sesame")
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "locked.key", key)
}

func foreignServer(t *testing.T, l *lab) {
	other, err := pki.NewCA("Other CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := other.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "other.crt", other.PEM)
	l.write(t, "foreign.crt", append(slices.Clone(leaf.CertPEM), other.PEM...))
	l.write(t, "foreign.key", leaf.KeyPEM)
}

func expiredClient(t *testing.T, l *lab) {
	past := time.Now().Add(-48 * time.Hour)
	l.issue(t, "old", pki.Spec{Name: "client1", NotBefore: past, NotAfter: past.Add(time.Hour)})
}

// expectInOrder fails unless lines that contain the texts are there in this order.
func expectInOrder(t *testing.T, log string, texts []string) {
	t.Helper()
	rest := log
	for _, text := range texts {
		i := strings.Index(rest, text)
		if i < 0 {
			t.Errorf("no line %q (or not in order) in\n%s", text, log)
			return
		}
		rest = rest[i+len(text):]
	}
}

// Our client and the stock one at the same server pass the same states and log the same lines, from start to SIGUSR1, SIGHUP
// and SIGTERM.
func TestClientLivesLikeStock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ccd := l.file("ccd")
	if err := syscall.Mkdir(ccd, 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, "ccd/client1", []byte("ifconfig-push 10.8.0.9 255.255.255.0\n"))
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	l.stockServer(t, "--client-config-dir", ccd, "--push", "route 172.16.0.0 255.240.0.0", "--push", "echo hello")
	logs, seen := map[string][]string{}, map[string][]string{}
	for who, start := range programs {
		sock := l.file(who + ".sock")
		c := start(t, l.client, l.clientArgs("--management", sock, "unix"))
		m := manage(t, sock)
		from := 0
		for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
			c.WaitLineAfter(t, from, up, upLimit)
			c.WaitLineAfter(t, from, "Protocol options", upLimit)
			from = c.Lines()
			c.Signal(t, sig)
		}
		c.WaitLineAfter(t, from, "Protocol options", upLimit)
		seen[who] = states(t, m)
		terminate(t, c)
		logs[who] = comparable(c.Log())
	}
	if diff := cmp.Diff(seen["stock"], seen["ours"]); diff != "" {
		t.Errorf("states (-stock +moongate):\n%s", diff)
	}
	if diff := cmp.Diff(logs["stock"], logs["ours"]); diff != "" {
		t.Errorf("log (-stock +moongate):\n%s", diff)
	}
}

// comparable is a log without what may differ: times, session ids, peer ids, buffer sizes, versions, and what only stock or only we say.
func comparable(log string) []string {
	var out []string
	for line := range strings.SplitSeq(log, "\n") {
		if len(line) < 20 || line[4] != '-' {
			continue
		}
		line = line[20:]
		switch {
		case strings.Contains(line, "DCO"), strings.Contains(line, "ovpn-dco"), strings.HasPrefix(line, "OpenVPN "), strings.HasPrefix(line, "library versions"),
			strings.HasPrefix(line, "event_wait"), strings.HasPrefix(line, "MANAGEMENT:"), strings.HasPrefix(line, "Note: --cipher"):
			continue
		}
		for _, cut := range []string{", sid=", ", cipher TLS", "peer-id", "->"} {
			line, _, _ = strings.Cut(line, cut)
		}
		out = append(out, line)
	}
	return out
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

// With persist-tun device and routes stay over a restart.
func TestClientKeepsItsDevice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--duplicate-cn", "--push", "route 172.16.0.0 255.240.0.0", "--ifconfig-pool-persist", l.file("pool"))
	c := ours(t, l.client, l.clientArgs("--persist-tun", "--persist-key"))
	c.WaitLine(t, up, upLimit)
	index := l.client.Run(t, "cat", "/sys/class/net/tun0/ifindex")
	from := c.Lines()
	c.Signal(t, syscall.SIGUSR1)
	c.WaitLineAfter(t, from, up, upLimit)
	again := c.Log()
	switch {
	case strings.Contains(again, "Preserving previous TUN/TAP instance: tun0"):
		if now := l.client.Run(t, "cat", "/sys/class/net/tun0/ifindex"); now != index {
			t.Errorf("the device is another one: %s, was %s", now, index)
		}
	case !strings.Contains(again, "NOTE: Pulled options changed on restart"):
		t.Error("neither kept nor reopened with a reason")
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

// The whole traffic goes into the tunnel, and comes back out of it on the way down.
func TestClientRedirectsTheGateway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	before := network(t, l.client)
	l.stockServer(t, "--push", "redirect-gateway def1", "--server-ipv6", "fd00:8::/64")
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	routes := l.client.Run(t, "ip", "route")
	for _, want := range []string{"0.0.0.0/1 via 10.8.0.1", "128.0.0.0/1 via 10.8.0.1", "10.99.0.1 via 10.99.0.1"} {
		if !strings.Contains(routes, want) {
			t.Errorf("no route %q in\n%s", want, routes)
		}
	}
	ping(t, l.client, "fd00:8::1", 3, 0, "0.1")
	terminate(t, c)
	if diff := cmp.Diff(before, network(t, l.client)); diff != "" {
		t.Errorf("the host is not as it was (-before +after):\n%s", diff)
	}
}

// Scripts run in stock's order, with the variables they are used to.
func TestClientRunsScripts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--push", "route 172.16.0.0 255.240.0.0", "--push", "dhcp-option DNS 192.0.2.53")
	record := l.file("record")
	hook := l.write(t, "hook.sh", []byte("#!/bin/sh\n{ echo \"== $script_type $*\"; /usr/bin/env; } >>"+record+"\n"))
	if err := syscall.Chmod(hook, 0o700); err != nil {
		t.Fatal(err)
	}
	c := ours(t, l.client, l.clientArgs("--script-security", "2", "--up", hook, "--down", hook, "--route-up", hook,
		"--route-pre-down", hook, "--ipchange", hook, "--tls-verify", hook, "--setenv", "MINE", "yes"))
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
	log := l.client.Run(t, "cat", record)
	expectInOrder(t, log, []string{
		"== tls-verify 1 CN=Lab CA", "== tls-verify 0 CN=server", "== up tun0 1500 0 10.8.0.2 255.255.255.0 init", "== route-up ",
		"== route-pre-down tun0 1500 0 10.8.0.2 255.255.255.0 init", "== down tun0 1500 0 10.8.0.2 255.255.255.0 init",
	})
	if !strings.Contains(log, "== ipchange [AF_INET]10.99.0.1 1194") {
		t.Errorf("ipchange did not run:\n%s", log)
	}
	_, upPart, _ := strings.Cut(log, "== up ")
	upPart, _, _ = strings.Cut(upPart, "== ")
	for _, want := range []string{
		"MINE=yes", "common_name=server", "dev=tun0", "dev_type=tun", "foreign_option_1=dhcp-option DNS 192.0.2.53", "ifconfig_local=10.8.0.2",
		"ifconfig_netmask=255.255.255.0", "proto_1=udp", "remote_1=10.99.0.1", "remote_port_1=1194", "route_gateway_1=10.8.0.1", "route_netmask_1=255.240.0.0",
		"route_network_1=172.16.0.0", "route_vpn_gateway=10.8.0.1", "script_context=init", "script_type=up", "tls_id_0=CN=server", "trusted_ip=10.99.0.1",
		"trusted_port=1194", "tun_mtu=1500", "untrusted_ip=10.99.0.1", "verb=3", "X509_0_CN=server",
	} {
		if !slices.Contains(strings.Split(upPart, "\n"), want) {
			t.Errorf("no variable %s in\n%s", want, upPart)
		}
	}
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
	s.WaitLine(t, "xit message received by peer", 5*time.Second)
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

// A client that was killed took the default route along; the next one puts it back before it does anything else.
func TestKilledClientsRoutesComeBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1", "metric", "7")
	before := l.client.Run(t, "ip", "route")
	l.stockServer(t, "--push", "redirect-gateway", "--push", "route 172.16.0.0 255.240.0.0 net_gateway")
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	c.Signal(t, syscall.SIGKILL)
	c.Wait(t, 5*time.Second)
	if left := l.client.Run(t, "ip", "route"); strings.Contains(left, "default") || !strings.Contains(left, "172.16.0.0/12") {
		t.Fatalf("the kill left nothing to mend:\n%s", left)
	}
	next := ours(t, l.client, l.clientArgs("--management", l.file("sock"), "unix", "--management-hold"))
	next.WaitLine(t, "Need hold release", upLimit)
	expectInOrder(t, next.Log(), []string{"NOTE: restoring routes of process"})
	if after := l.client.Run(t, "ip", "route"); after != before {
		t.Errorf("routes are\n%s\nthey were\n%s", after, before)
	}
}
