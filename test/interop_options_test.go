//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
)

var both = []struct {
	name  string
	start starter
}{{"stock", stock}, {"moongate", ours}}

// Whatever is dead in the list, the client gets to the remote that answers; and when nothing does, it gives up after as many
// rounds as it was told, as stock does.
func TestRemotesInTurn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	for _, b := range both {
		t.Run(b.name, func(t *testing.T) {
			dead := []string{"--remote", "10.99.0.1", "1195", "udp", "--remote", "10.99.0.1", "1196", "tcp-client"}
			c := b.start(t, l.client, l.clientArgs(append(dead, "--remote", "10.99.0.1", "1194", "udp", "--remote-random", "--server-poll-timeout", "1", "--connect-retry", "1")...))
			c.WaitLine(t, up, upLimit)
			terminate(t, c)
			c = b.start(t, l.client, l.clientArgs(append(dead, "--server-poll-timeout", "1", "--connect-retry-max", "1")...))
			if code := c.Wait(t, upLimit); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			expectInOrder(t, c.Log(), []string{
				"SIGUSR1[soft,server_poll] received, process restarting", "TCP: connect to [AF_INET]10.99.0.1:1196 failed: Connection refused",
				"All connections have been connect-retry-max (1) times unsuccessful, exiting",
			})
		})
	}
}

// A random name is looked up, and ip-remote-hint spares the lookup.
func TestRemoteNames(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	for _, b := range both {
		t.Run(b.name, func(t *testing.T) {
			c := b.start(t, l.client, l.clientArgs("--remote", "vpn.invalid", "1194", "--remote-random-hostname", "--resolv-retry", "0"))
			c.WaitLine(t, "RESOLVE: Cannot resolve host address", upLimit)
			if !regexp.MustCompile(`address: [0-9a-f]{12}\.vpn\.invalid:1194`).MatchString(c.Log()) {
				t.Errorf("no random name in the log:\n%s", c.Log())
			}
			c.Stop(t)
		})
	}
	c := ours(t, l.client, l.clientArgs("--remote", "vpn.invalid", "1194", "--preresolve", "--ip-remote-hint", "10.99.0.1"))
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
}

// peerArgs are the options of a peer of two: the first waits, the second calls.
func (l *lab) peerArgs(caller bool, extra ...string) []string {
	if caller {
		return append([]string{"--dev", "tun", "--verb", "4", "--ifconfig", "10.8.0.2", "10.8.0.1", "--remote", "10.99.0.1", "--ping", "1", "--ping-restart", "10"}, extra...)
	}
	return append([]string{"--dev", "tun", "--verb", "4", "--ifconfig", "10.8.0.1", "10.8.0.2", "--ping", "1", "--ping-restart", "10"}, extra...)
}

// Static-key mode with a stock daemon at the other end, whoever calls.
func TestStaticKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		wait, caller []string
	}{
		{name: "udp"},
		{name: "directions", wait: []string{"--key-direction", "0"}, caller: []string{"--key-direction", "1"}},
		{name: "sha256, aes-128", wait: []string{"--auth", "SHA256", "--cipher", "AES-128-CBC"}, caller: []string{"--auth", "SHA256", "--cipher", "AES-128-CBC"}},
		{name: "tcp", wait: []string{"--proto", "tcp-server"}, caller: []string{"--proto", "tcp-client"}},
	} {
		for _, weCall := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, we call %v", tt.name, weCall), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				common := []string{"--cipher", "AES-256-CBC", "--secret", l.file("ta.key")}
				sock := l.file("mgmt.sock")
				port := []string{"--management", sock, "unix"}
				waiting, calling := l.peerArgs(false, append(common, tt.wait...)...), l.peerArgs(true, append(common, tt.caller...)...)
				var a, b, us *daemontest.Process
				if weCall {
					a = stock(t, l.server, waiting)
				} else {
					a = ours(t, l.server, append(waiting, port...))
				}
				if tt.name == "tcp" {
					a.WaitLine(t, "Listening for incoming TCP connection on [AF_INET][undef]:1194", upLimit)
				}
				if us = a; weCall {
					b = ours(t, l.client, append(calling, port...))
					us = b
				} else {
					b = stock(t, l.client, calling)
				}
				a.WaitLine(t, up, upLimit)
				b.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
				ping(t, l.server, "10.8.0.2", 3, 0, "0.1")
				m := manage(t, sock)
				want := []string{"CONNECTING", "ASSIGN_IP", "CONNECTED,SUCCESS"}
				if weCall && tt.name == "tcp" {
					want = []string{"CONNECTING", "ASSIGN_IP", "TCP_CONNECT", "CONNECTED,SUCCESS"}
				}
				if diff := cmp.Diff(want, states(t, m)); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				expectInOrder(t, us.Log(), []string{"DEPRECATED OPTION: The option --secret is deprecated.", "TUN/TAP device tun0 opened", "Peer Connection Initiated with [AF_INET]10.99.0.", up, "Data Channel: cipher 'AES-"})
				for _, bad := range []string{"Authenticate/Decrypt", "Decrypt error", "Decompression error", "FRAG_IN", "inconsistent"} {
					if strings.Contains(a.Log()+b.Log(), bad) {
						t.Errorf("%q in a log:\n%s\n%s", bad, a.Log(), b.Log())
					}
				}
				terminate(t, us)
			})
		}
	}
}

// The peer goes on from another address: with float its packets are taken from there, and answered there.
func TestFloat(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.server.Run(t, "ip", "addr", "add", "10.99.0.11/24", "dev", "eth0")
	common := []string{"--cipher", "AES-256-CBC", "--secret", l.file("ta.key"), "--float"}
	c := ours(t, l.client, l.peerArgs(true, common...))
	s := stock(t, l.server, l.peerArgs(false, append(common, "--remote", "10.99.0.2", "--local", "10.99.0.11")...))
	s.WaitLine(t, up, upLimit)
	c.WaitLine(t, "Peer Connection Initiated with [AF_INET]10.99.0.11:1194", upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, s)
	s = stock(t, l.server, l.peerArgs(false, append(common, "--remote", "10.99.0.2", "--local", "10.99.0.1")...))
	c.WaitLine(t, "Peer address changed to [AF_INET]10.99.0.1:1194", upLimit)
	s.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

// Peers that do not pull have their device, and have run up, before anybody answers.
func TestPeersOpenFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	script := l.script(t, "show.sh", `echo "RAN $script_type $script_context"`)
	for _, b := range both {
		t.Run(b.name, func(t *testing.T) {
			args := l.peerArgs(true, "--verb", "3", "--tls-client", "--ca", l.file("ca.crt"), "--cert", l.file("client.crt"), "--key", l.file("client.key"),
				"--script-security", "2", "--up", script, "--down", script, "--route-up", script, "--route", "10.77.0.0", "255.255.0.0")
			c := b.start(t, l.client, args)
			c.WaitLine(t, "UDPv4 link remote", upLimit)
			expectInOrder(t, c.Log(), []string{"TUN/TAP device tun0 opened", "RAN up init", "net_route_v4_add: 10.77.0.0/16", "RAN route-up init", "UDPv4 link local"})
			terminate(t, c)
			c.WaitLine(t, "RAN down init", upLimit)
			c = b.start(t, l.client, append(args, "--up-delay"))
			c.WaitLine(t, "UDPv4 link remote", upLimit)
			if strings.Contains(c.Log(), "RAN up") {
				t.Error("up ran in spite of up-delay")
			}
			terminate(t, c)
		})
	}
}

// A tls-server takes a peer that starts over at once, without waiting for the old session to time out.
func TestPeerStartsOver(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	keys := func(name string) []string {
		return []string{"--verb", "3", "--ping-restart", "60", "--ca", l.file("ca.crt"), "--cert", l.file(name + ".crt"), "--key", l.file(name + ".key")}
	}
	s := ours(t, l.server, l.peerArgs(false, append(keys("server"), "--tls-server", "--dh", "none")...))
	s.WaitLine(t, "UDPv4 link remote: [AF_UNSPEC]", upLimit)
	for range 3 {
		c := stock(t, l.client, l.peerArgs(true, append(keys("client"), "--tls-client")...))
		c.WaitLine(t, up, upLimit)
		ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
		c.Signal(t, syscall.SIGKILL)
		c.Wait(t, upLimit)
	}
	if n := strings.Count(s.Log(), "Peer Connection Initiated with [AF_INET]10.99.0.2:1194"); n != 3 {
		t.Errorf("%d connections, want 3:\n%s", n, s.Log())
	}
	terminate(t, s)
}

// What scripts learn about the peer's certificate and session is what stock tells them.
func TestCertificateVariables(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	script := l.script(t, "show.sh", `test -f "$peer_cert" && head -1 "$peer_cert"; env | grep '^X509\|^exported' | sort`)
	got := make(map[string][]string)
	for _, b := range both {
		c := b.start(t, l.client, l.clientArgs("--script-security", "2", "--tls-verify", script, "--route-up", script, "--x509-track", "+CN",
			"--x509-track", "subjectAltName", "--keying-material-exporter", "EXPORTER-lab", "20", "--tls-export-cert", l.dir))
		c.WaitLine(t, up, upLimit)
		for line := range strings.SplitSeq(c.Log(), "\n") {
			if strings.HasPrefix(line, "-----BEGIN") || strings.HasPrefix(line, "X509_") {
				got[b.name] = append(got[b.name], line)
			}
		}
		if b.name == "moongate" && !regexp.MustCompile(`exported_keying_material=[0-9a-f]{40}\b`).MatchString(c.Log()) {
			t.Errorf("no keying material:\n%s", c.Log())
		}
		terminate(t, c)
	}
	if diff := cmp.Diff(got["stock"][:4], got["moongate"][:4]); diff != "" {
		t.Errorf("variables (-stock +moongate):\n%s", diff)
	}
}

// client-nat shows the server's network under another name; packets for the server itself do not enter the tunnel.
func TestPacketFilters(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	for _, b := range both {
		t.Run(b.name, func(t *testing.T) {
			c := b.start(t, l.client, l.clientArgs("--verb", "4", "--client-nat", "dnat", "10.20.0.0", "255.255.0.0", "10.8.0.0", "--route", "10.20.0.0", "255.255.0.0"))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.20.0.1", 3, 0, "0.1")
			_, _ = l.client.TryRun("ping", "-n", "-I", "tun0", "-c", "1", "-W", "1", "10.99.0.1")
			c.WaitLine(t, "Recursive routing detected, drop tun packet to [AF_INET]10.99.0.1:1194", upLimit)
			terminate(t, c)
		})
	}
}

// shaper holds what we send to its rate: each packet of 552 bytes takes 69 ms at 8 KB a second, and those behind it wait.
func TestShaper(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	for _, b := range both {
		t.Run(b.name, func(t *testing.T) {
			c := b.start(t, l.client, l.clientArgs("--shaper", "8000"))
			c.WaitLine(t, up, upLimit)
			out, _ := l.client.TryRun("ping", "-n", "-c", "20", "-i", "0.01", "-W", "3", "-s", "500", "10.8.0.1")
			var slowest float64
			for _, m := range regexp.MustCompile(`time=([0-9.]+) ms`).FindAllStringSubmatch(out, -1) {
				var ms float64
				if _, err := fmt.Sscan(m[1], &ms); err != nil {
					t.Fatal(err)
				}
				slowest = max(slowest, ms)
			}
			if slowest < 300 {
				t.Errorf("the slowest of 20 packets took %.0f ms, want 300 at least:\n%s", slowest, out)
			}
			terminate(t, c)
		})
	}
}

// Clocks that end a session: the lines and the status of stock.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		line string
	}{
		{"inactive", []string{"--inactive", "2", "100000"}, "SIGTERM[soft,inactive] received, process exiting"},
		{"session-timeout", []string{"--session-timeout", "2"}, "SIGTERM[soft,session-timeout] received, process exiting"},
		{"ping-exit", []string{"--pull-filter", "ignore", "ping", "--ping-exit", "2"}, "SIGTERM[soft,ping-exit] received, process exiting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.stockServer(t)
			for _, b := range both {
				c := b.start(t, l.client, l.clientArgs(tt.args...))
				if code := c.Wait(t, upLimit); code != 0 {
					t.Errorf("%s: exit status %d, want 0", b.name, code)
				}
				expectInOrder(t, c.Log(), []string{up, tt.line})
			}
		})
	}
}

// Files of the wrong kind: both say which one and leave with status 1.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.write(t, "empty.pem", nil)
	l.write(t, "junk.pem", []byte("hello\n"))
	l.write(t, "huge.pem", make([]byte, 17<<20))
	if out, err := exec.CommandContext(t.Context(), "openssl", "x509", "-in", l.file("ca.crt"), "-outform", "DER", "-out", l.file("der.pem")).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		args  []string
		both  string // in both logs
		extra string // in ours
	}{
		{[]string{"--ca", "client.key"}, "Cannot load CA certificate file %s (no entries were read)", `it holds a "PRIVATE KEY"`},
		{[]string{"--ca", "der.pem"}, "Cannot load CA certificate file %s (no entries were read)", "DER form"},
		{[]string{"--ca", "empty.pem"}, "Cannot load CA certificate file %s (no entries were read)", "it is empty"},
		{[]string{"--ca", "huge.pem"}, "", "larger than 16 MB"},
		{[]string{"--cert", "junk.pem"}, "Cannot load certificate file %s", "no PEM block"},
		{[]string{"--key", "client.crt"}, "Cannot load private key file %s", `it holds a "CERTIFICATE"`},
		{[]string{"--key", "server.key"}, "Cannot load private key file %s", "does not match"},
		{[]string{"--tls-crypt", "junk.pem"}, "Insufficient key material or header text not found in file '%s'", "--tls-crypt"},
		{[]string{"--extra-certs", "junk.pem"}, "Error reading extra certificate", "junk.pem"},
		{[]string{"--auth-user-pass", "empty.pem"}, "Error reading username from Auth authfile: %s", ""},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			path := l.file(tt.args[1])
			for _, b := range both {
				c := b.start(t, l.client, l.clientArgs("--dev", "null", tt.args[0], path))
				if code := c.Wait(t, upLimit); code != 1 {
					t.Errorf("%s: exit status %d, want 1", b.name, code)
				}
				want := tt.both
				if strings.Contains(want, "%s") {
					want = fmt.Sprintf(want, path)
				}
				if !strings.Contains(c.Log(), want) {
					t.Errorf("%s: no %q in\n%s", b.name, want, c.Log())
				}
				if b.name == "moongate" && !strings.Contains(c.Log(), tt.extra) {
					t.Errorf("no %q in\n%s", tt.extra, c.Log())
				}
			}
		})
	}
}

// Ways to name a key or a peer: each connects.
func TestKeysAndPeers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	for _, b := range both {
		c := b.start(t, l.client, l.clientArgs("--ns-cert-type", "client"))
		c.WaitLine(t, "require nsCertType=CLIENT", upLimit)
		c.Stop(t)
	}
	run := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
			t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
		}
	}
	run("pkcs12", "-export", "-in", l.file("client.crt"), "-inkey", l.file("client.key"), "-certfile", l.file("ca.crt"), "-out", l.file("c.p12"), "-passout", "pass:sesame")
	l.write(t, "pass.txt", []byte("sesame\n"))
	if err := os.Mkdir(l.file("cas"), 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(l.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "cas/lab.pem", ca)
	run("rehash", l.file("cas"))
	out, err := exec.CommandContext(t.Context(), "openssl", "x509", "-in", l.file("server.crt"), "-noout", "-fingerprint", "-sha256").Output() //nolint:gosec // our own arguments
	if err != nil {
		t.Fatal(err)
	}
	_, print, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	base := []string{"--client", "--dev", "tun", "--verb", "3", "--remote", "10.99.0.1"}
	own := []string{"--cert", l.file("client.crt"), "--key", l.file("client.key")}
	for name, args := range map[string][]string{
		"pkcs12":           {"--pkcs12", l.file("c.p12"), "--askpass", l.file("pass.txt")},
		"capath":           append([]string{"--capath", l.file("cas")}, own...),
		"peer-fingerprint": append([]string{"--peer-fingerprint", print}, own...),
		"verify-x509-name": append([]string{"--ca", l.file("ca.crt"), "--verify-x509-name", "ser", "name-prefix", "--remote-cert-eku", "TLS Web Server Authentication"}, own...),
	} {
		t.Run(name, func(t *testing.T) {
			c := ours(t, l.client, append(base, args...))
			c.WaitLine(t, up, upLimit)
			c.Signal(t, syscall.SIGTERM)
			c.Wait(t, upLimit)
		})
	}
}

// What a server must not push is skipped with stock's line, and the connection comes up all the same.
func TestPushedNonsense(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--push", "up /bin/true", "--push", "no-such-option 1 2 3", "--push", "route 172.16.0.0 255.240.0.0", "--push", "setenv-safe a b c",
		"--push", "dhcp-option DNS 192.0.2.1", "--push", "verb", "--push", "lladdr 00:00:00:00:00:00")
	want := make(map[string][]string)
	for _, b := range both {
		c := b.start(t, l.client, l.clientArgs("--route-nopull"))
		c.WaitLine(t, up, upLimit)
		for line := range strings.SplitSeq(c.Log(), "\n") {
			if _, text, ok := strings.Cut(line, "Options error: "); ok {
				text, _, _ = strings.Cut(text, " (2.6")
				want[b.name] = append(want[b.name], text)
			}
		}
		terminate(t, c)
	}
	if diff := cmp.Diff(want["stock"], want["moongate"]); diff != "" || len(want["stock"]) == 0 {
		t.Errorf("skipped options (-stock +moongate):\n%s", diff)
	}
}

// A held peer with a static key listens to the port like any other.
func TestStaticKeyHold(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	c := ours(t, l.client, l.peerArgs(true, "--cipher", "AES-256-CBC", "--secret", l.file("ta.key"), "--management", sock, "unix", "--management-hold"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindState)
	do(t, m, "state", "on")
	do(t, m, "hold", "release")
	n, err := notified(t, sub)
	if err != nil || !strings.Contains(n.Text, "ASSIGN_IP") {
		t.Errorf("notification %q, %v; want ASSIGN_IP", n.Text, err)
	}
	do(t, m, "signal", "SIGTERM")
	if code := c.Wait(t, upLimit); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
