//go:build linux

package test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

var labHosts atomic.Int32

// host adds a client host to the lab, on a link of its own to the server, and returns the server's address on it.
func (l *lab) host(t *testing.T) (n *daemontest.Namespace, server string) {
	t.Helper()
	k := labHosts.Add(1)
	n = daemontest.NewNamespace(t)
	net := fmt.Sprintf("10.%d.%d", 100+k/250, k%250)
	daemontest.Veth(t, l.server, fmt.Sprintf("c%d", k), []string{net + ".1/24"}, n, "eth0", []string{net + ".2/24"})
	return n, net + ".1"
}

// stockClientOn starts a stock client on another host and waits until it is connected.
func (l *lab) stockClientOn(t *testing.T, n *daemontest.Namespace, server string, extra ...string) *daemontest.Process {
	t.Helper()
	p := stock(t, n, l.clientArgs(append([]string{"--remote", server, "1194"}, l.paths(extra)...)...))
	p.WaitLine(t, up, upLimit)
	return p
}

// await polls until a condition holds.
func await(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// fileText is the content of a file, "" when there is none yet.
func fileText(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// Files per client: addresses, subnets behind the client, pushed options, refusals.
func TestServerConfiguresClients(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, ccd, file string
		server          []string
		clientLine      string
		serverLine      string
		refused, deaf   bool // deaf: nothing passes
		check           func(t *testing.T, l *lab)
	}{
		{
			name: "fixed address", file: "client1", ccd: "ifconfig-push 10.8.0.50 255.255.255.0\n", clientLine: "ifconfig 10.8.0.50 255.255.255.0",
			serverLine: "OPTIONS IMPORT: reading client specific options from: ",
		},
		{
			name: "translated address", file: "client1", ccd: "ifconfig-push 10.8.0.50 255.255.255.0 10.8.0.60\n", clientLine: "ifconfig 10.8.0.60 255.255.255.0",
			serverLine: "MULTI: primary virtual IP for client1/10.99.0.2:", deaf: true,
		},
		{name: "default file", file: "DEFAULT", ccd: "push \"route 10.66.0.0 255.255.0.0\"\n", clientLine: "route 10.66.0.0 255.255.0.0"},
		{
			name: "subnet behind the client", file: "client1", ccd: "iroute 10.50.0.0 255.255.0.0\niroute-ipv6 fd50::/48\n", server: []string{"--server-ipv6", "fd08::/64", "--route", "10.50.0.0", "255.255.0.0", "--push", "route 10.50.0.0 255.255.0.0"},
			serverLine: "MULTI: internal route 10.50.0.0/16 -> client1/10.99.0.2:",
			check: func(t *testing.T, l *lab) {
				l.client.Run(t, "ip", "addr", "add", "10.50.1.1/32", "dev", "lo")
				ping(t, l.server, "10.50.1.1", 3, 0, "0.1")
				if routes := l.client.Run(t, "ip", "route"); strings.Contains(routes, "10.50.0.0/16") {
					t.Errorf("the client was pushed a route to itself:\n%s", routes)
				}
			},
		},
		{name: "push-reset", file: "client1", ccd: "push-reset\npush \"topology subnet\"\npush \"route-gateway 10.8.0.1\"\n", clientLine: "'PUSH_REPLY,topology subnet,route-gateway 10.8.0.1,ifconfig"},
		{name: "push-remove", file: "client1", ccd: "push-remove ping\n", clientLine: "'PUSH_REPLY,route-gateway 10.8.0.1,topology subnet,ifconfig"},
		{name: "bad line", file: "client1", ccd: "nonsense\nifconfig-push 10.8.0.50 255.255.255.0\n", clientLine: "ifconfig 10.8.0.50"},
		{name: "disabled", file: "client1", ccd: "disable\n", refused: true, serverLine: "MULTI: client has been rejected due to 'disable' directive"},
		{name: "exclusive", file: "DEFAULT", ccd: "", server: []string{"--ccd-exclusive"}, refused: true, serverLine: "TLS Auth Error: --client-config-dir authentication failed for common name 'client1'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
				t.Fatal(err)
			}
			l.write(t, "ccd/"+tt.file, []byte(tt.ccd))
			s := l.ourServer(t, append([]string{"--client-config-dir", l.file("ccd")}, tt.server...)...)
			c := stock(t, l.client, l.clientArgs())
			if tt.refused {
				c.WaitLine(t, "AUTH_FAILED", upLimit)
			} else {
				c.WaitLine(t, up, upLimit)
				if !tt.deaf {
					ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
				}
			}
			if tt.clientLine != "" {
				c.WaitLine(t, tt.clientLine, upLimit)
			}
			if tt.serverLine != "" {
				s.WaitLine(t, tt.serverLine, upLimit)
			}
			if tt.check != nil {
				tt.check(t, l)
			}
			terminate(t, s)
		})
	}
}

// Clients reach each other through the server alone with client-to-client, and not without it.
func TestServerBetweenClients(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("client-to-client %v", direct), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			var args []string
			if direct {
				args = []string{"--client-to-client"}
			}
			s := l.ourServer(t, args...)
			type peer struct {
				n    *daemontest.Namespace
				addr string
			}
			var peers []peer
			for k := range 3 {
				name := fmt.Sprintf("peer%d", k)
				l.issue(t, name, pki.Spec{Name: name})
				n, server := l.host(t)
				l.stockClientOn(t, n, server, "--cert", name+".crt", "--key", name+".key")
				peers = append(peers, peer{n, ownTunnelAddress(t, n)})
			}
			for _, a := range peers {
				ping(t, a.n, "10.8.0.1", 2, 0, "0.1")
				for _, b := range peers {
					if a == b {
						continue
					}
					if direct {
						ping(t, a.n, b.addr, 2, 0, "0.1")
					} else if out, err := a.n.TryRun("ping", "-n", "-c", "1", "-W", "0.3", b.addr); err == nil {
						t.Errorf("%s reaches %s without client-to-client:\n%s", a.addr, b.addr, out)
					}
				}
			}
			terminate(t, s)
		})
	}
}

// Twenty clients at once reach each other, all pairs both ways.
func TestServerBetweenManyClients(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t, "--client-to-client", "--duplicate-cn", "--server-ipv6", "fd08::/64")
	const many = 20
	hosts, clients := make([]*daemontest.Namespace, many), make([]*daemontest.Process, many)
	for k := range many {
		n, server := l.host(t)
		hosts[k] = n
		clients[k] = stock(t, n, l.clientArgs("--remote", server, "1194"))
	}
	var targets []string
	for k, c := range clients {
		c.WaitLine(t, up, upLimit)
		targets = append(targets, ownTunnelAddress(t, hosts[k]))
	}
	var pairs sync.WaitGroup
	for _, from := range hosts {
		pairs.Go(func() {
			// One shell per host: starting four hundred programs in namespaces is most of the work.
			out, err := from.TryRun("sh", "-c", `for a in $1; do ping -n -q -c 2 -i 0.02 -W 5 $a >/dev/null || echo "$a"; done`, "sh", strings.Join(targets, " "))
			if out != "" || err != nil {
				t.Errorf("%s does not reach %s %v", ownTunnelAddress(t, from), out, err)
			}
		})
	}
	pairs.Wait()
	terminate(t, s)
}

// A second session of the same name ends the first, unless duplicate-cn allows both.
func TestServerWithTheSameNameTwice(t *testing.T) {
	t.Parallel()
	for _, dup := range []bool{false, true} {
		t.Run(fmt.Sprintf("duplicate-cn %v", dup), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			var args []string
			if dup {
				args = []string{"--duplicate-cn"}
			}
			s := l.ourServer(t, args...)
			l.stockClient(t)
			first := ownTunnelAddress(t, l.client)
			n, server := l.host(t)
			l.stockClientOn(t, n, server)
			ping(t, n, "10.8.0.1", 2, 0, "0.1")
			second := ownTunnelAddress(t, n)
			if dup {
				ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
				if first == second {
					t.Errorf("both clients have %s", first)
				}
			} else {
				s.WaitLine(t, "MULTI: new connection by client 'client1' will cause previous active sessions by this client to be dropped.", upLimit)
				if first != second {
					t.Errorf("the client had %s and has %s now", first, second)
				}
			}
			terminate(t, s)
		})
	}
}

// Scripts are called in order, with what they need.
func TestServerRunsScripts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	calls := l.file("calls")
	note := l.script(t, "note.sh", `echo "$script_type $* cn=$common_name ip=$trusted_ip virtual=$ifconfig_pool_remote_ip mask=$ifconfig_pool_netmask ver=$IV_PLAT sent=${bytes_sent:+some} dev=$dev" | sed 's/openvpn_cc_[0-9a-f]*/CC/; s#/[^ ]*/CC#CC#' >>`+calls+`
case $script_type in
client-connect) echo 'push "route 10.44.0.0 255.255.0.0"' >"$1";;
learn-address) case "$1 $2" in "add 10.9.0.0/24") exit 1;; esac;;
esac
sleep 0.05`)
	if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, "ccd/client1", []byte("iroute 10.9.0.0 255.255.255.0\n"))
	s := l.ourServer(t, "--script-security", "2", "--client-connect", note, "--client-disconnect", note, "--learn-address", note, "--client-config-dir", l.file("ccd"))
	c := l.stockClient(t, "--explicit-exit-notify", "1")
	c.WaitLine(t, "route 10.44.0.0 255.255.0.0", upLimit)
	s.WaitLine(t, "MULTI: Learn FAILED: 10.9.0.0/24 -> client1/", upLimit)
	ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
	n, server := l.host(t)
	at := strings.TrimSuffix(server, "1") + "2"
	again := l.stockClientOn(t, n, server, "--explicit-exit-notify", "1")
	ping(t, n, "10.8.0.1", 2, 0, "0.1")
	terminate(t, again)
	s.WaitLine(t, "SIGTERM[soft,delayed-exit] received, client-instance exiting", 10*time.Second)
	terminate(t, s)
	rest := " ver=linux sent= dev=tun0\n"
	addr := " virtual=10.8.0.2 mask=255.255.255.0"
	want := "client-connect CC.tmp cn=client1 ip=10.99.0.2" + addr + rest +
		"learn-address add 10.8.0.2 client1 cn=client1 ip=10.99.0.2" + addr + rest +
		"learn-address add 10.9.0.0/24 client1 cn=client1 ip=10.99.0.2" + addr + rest +
		"client-disconnect  cn=client1 ip=10.99.0.2" + addr + strings.Replace(rest, "sent=", "sent=some", 1) +
		"client-connect CC.tmp cn=client1 ip=" + at + addr + rest +
		"learn-address update 10.8.0.2 client1 cn=client1 ip=" + at + addr + rest +
		"learn-address add 10.9.0.0/24 client1 cn=client1 ip=" + at + addr + rest +
		"client-disconnect  cn=client1 ip=" + at + addr + strings.Replace(rest, "sent=", "sent=some", 1) +
		"learn-address delete 10.8.0.2 cn=client1 ip=" + at + addr + rest
	if diff := cmp.Diff(want, fileText(calls)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Clients without certificates and names are not one and the same: they live side by side.
func TestServerWithNamelessClients(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	verify, calls := l.script(t, "verify.sh", "exit 0"), l.file("calls")
	note := l.script(t, "note.sh", `echo "$script_type $3 ${common_name-none} $username" >>`+calls)
	s := l.ourServer(t, "--script-security", "2", "--auth-user-pass-verify", verify, "via-file", "--verify-client-cert", "none", "--learn-address", note, "--ifconfig-pool-persist", l.file("pool.txt"))
	nameless := func(n *daemontest.Namespace, server, user string) {
		t.Helper()
		login := l.write(t, user, []byte(user+"\npass\n"))
		p := stock(t, n, []string{"--client", "--dev", "tun", "--ca", l.file("ca.crt"), "--remote", server, "1194", "--auth-user-pass", login})
		p.WaitLine(t, up, upLimit)
	}
	nameless(l.client, "10.99.0.1", "user1")
	n, server := l.host(t)
	nameless(n, server, "user2")
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	ping(t, n, "10.8.0.1", 3, 0, "0.1")
	if a, b := ownTunnelAddress(t, l.client), ownTunnelAddress(t, n); a == b {
		t.Errorf("both have %s", a)
	}
	if diff := cmp.Diff("learn-address UNDEF none user1\nlearn-address UNDEF none user2\n", fileText(calls)); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	terminate(t, s)
	if got := fileText(l.file("pool.txt")); got != "" {
		t.Errorf("addresses are kept for nobody: %q", got)
	}
}

// Addresses outlive the server in the pool's file.
func TestServerRemembersAddresses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.write(t, "pool.txt", []byte("# fixed\nclient1,10.8.0.9,\nother,10.8.0.2,\n"))
	args := []string{"--ifconfig-pool-persist", l.file("pool.txt")}
	s := l.ourServer(t, args...)
	c := l.stockClient(t)
	if got := ownTunnelAddress(t, l.client); got != "10.8.0.9" {
		t.Errorf("the client has %s, want the address of the file", got)
	}
	terminate(t, c)
	terminate(t, s)
	if got := fileText(l.file("pool.txt")); !strings.Contains(got, "client1,10.8.0.9,\n") || !strings.Contains(got, "other,10.8.0.2,\n") {
		t.Errorf("the file holds\n%s", got)
	}
}

// A client whose address changes goes on without a gap of more than its next packet.
func TestServerFollowsAClientThatMoves(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t, "--verb", "4")
	l.stockClient(t)
	ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
	l.client.Run(t, "ip", "addr", "del", "10.99.0.2/24", "dev", "eth0")
	l.client.Run(t, "ip", "addr", "add", "10.99.0.3/24", "dev", "eth0")
	ping(t, l.client, "10.8.0.1", 20, 1, "0.05")
	s.WaitLine(t, "(client1) floated from 10.99.0.2:", upLimit)
	ping(t, l.server, ownTunnelAddress(t, l.client), 3, 0, "0.1")
	terminate(t, s)
}

// A revoked certificate is refused from the moment the list on disk says so: at the next renewal of a session, and when
// the client comes again. Everybody else goes on.
func TestServerReadsNewRevocationLists(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"file", "directory"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			leaf := l.issue(t, "client", pki.Spec{Name: "client1"})
			l.issue(t, "other", pki.Spec{Name: "other"})
			args := []string{"--crl-verify", l.file("crl.pem")}
			refusal := "VERIFY ERROR: depth=0, error=certificate revoked: CN=client1"
			list := func() {
				crl, err := l.ca.CRL(time.Now().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				l.write(t, "crl.new", crl)
				if err := os.Rename(l.file("crl.new"), l.file("crl.pem")); err != nil {
					t.Fatal(err)
				}
			}
			if form == "directory" {
				args = []string{"--crl-verify", l.file("revoked"), "dir"}
				refusal = "VERIFY CRL: depth=0, CN=client1, serial=" + leaf.Cert.SerialNumber.String() + " is revoked"
				if err := os.Mkdir(l.file("revoked"), 0o755); err != nil {
					t.Fatal(err)
				}
				list = func() { l.write(t, "revoked/"+leaf.Cert.SerialNumber.String(), nil) }
			} else {
				list()
			}
			s := l.ourServer(t, append(args, "--reneg-sec", "3")...)
			l.stockClient(t)
			n, server := l.host(t)
			l.stockClientOn(t, n, server, "--cert", "other.crt", "--key", "other.key")
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				ping(t, n, "10.8.0.1", 1000, 0, "0.01")
			}()
			ping(t, l.client, "10.8.0.1", 5, 0, "0.1")
			l.ca.Revoke(leaf)
			list()
			s.WaitLine(t, refusal, upLimit)
			from := s.Lines()
			c := stock(t, l.client, l.clientArgs())
			s.WaitLineAfter(t, from, refusal, upLimit)
			if strings.Contains(c.Log(), up) {
				t.Error("the revoked client is connected")
			}
			<-watched
			terminate(t, s)
		})
	}
}

// Limits of newcomers.
func TestServerLimitsNewcomers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t, "--max-clients", "1", "--duplicate-cn")
	l.stockClient(t)
	n, server := l.host(t)
	c := stock(t, n, l.clientArgs("--remote", server, "1194"))
	s.WaitLine(t, "MULTI: new incoming connection would exceed maximum number of clients (1)", upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	if strings.Contains(c.Log(), up) {
		t.Error("the second client is connected")
	}
	terminate(t, s)
}

// Signals: clients of a server that restarts come back; a leaving server tells them first.
func TestServerSignals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		server []string
		client []string
		line   string // in the client's log
		back   bool
	}{
		{name: "USR1", signal: syscall.SIGUSR1, server: []string{"--keepalive", "1", "4"}, back: true, line: "Inactivity timeout (--ping-restart), restarting"},
		{name: "USR1 with notice", signal: syscall.SIGUSR1, server: []string{"--explicit-exit-notify", "1"}, line: "Connection reset command was pushed by server ('')", back: true},
		{name: "USR1 tcp", signal: syscall.SIGUSR1, server: []string{"--proto", "tcp-server"}, client: []string{"--proto", "tcp-client"}, back: true, line: "Connection reset, restarting [0]"},
		{name: "HUP", signal: syscall.SIGHUP, server: []string{"--keepalive", "1", "4", "--reload-compat"}, back: true},
		{name: "TERM with notice", signal: syscall.SIGTERM, server: []string{"--explicit-exit-notify", "1"}, line: "Connection reset command was pushed by server ('')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := l.ourServer(t, tt.server...)
			c := l.stockClient(t, tt.client...)
			ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
			from := c.Lines()
			s.Signal(t, tt.signal)
			if tt.line != "" {
				c.WaitLineAfter(t, from, tt.line, upLimit)
			}
			if tt.back {
				c.WaitLineAfter(t, from, up, upLimit)
				ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
				terminate(t, s)
			} else if code := s.Wait(t, 10*time.Second); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

// A client that starts anew from the same port takes its own place, and its old session lives until then.
func TestServerWithAClientThatStartsAnew(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t, "--tls-crypt", "ta.key")
	c := l.stockClient(t, "--tls-crypt", "ta.key", "--bind", "--lport", "5000")
	ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
	from := c.Lines()
	c.Signal(t, syscall.SIGUSR1)
	c.WaitLineAfter(t, from, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, s)
}

// Under single-session it does not, until its old session has timed out; with stock likewise.
func TestServerWithOneSessionOfAClient(t *testing.T) {
	t.Parallel()
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := start(t, l.server, l.serverArgs("--single-session"))
			s.WaitLine(t, up, upLimit)
			c := l.stockClient(t, "--bind", "--lport", "5000")
			c.Signal(t, syscall.SIGUSR1)
			s.WaitLine(t, "client1/10.99.0.2:5000 TLS Error: Cannot accept new session request from [AF_INET]10.99.0.2:5000 due to session context expire or --single-session", upLimit)
			if n := strings.Count(s.Log(), "Peer Connection Initiated"); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// Renewals by either side lose no packet.
func TestServerRenewals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
	}{
		{"server", []string{"--reneg-sec", "4", "--tls-crypt", "ta.key"}, []string{"--tls-crypt", "ta.key"}},
		{"client", nil, []string{"--reneg-sec", "4"}},
		{"both", []string{"--reneg-sec", "4"}, []string{"--reneg-sec", "4"}},
		{"bytes", []string{"--reneg-bytes", "20000"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := l.ourServer(t, tt.server...)
			l.stockClient(t, tt.client...)
			ping(t, l.client, "10.8.0.1", 1000, 0, "0.01")
			if n := strings.Count(s.Log(), "Control Channel: TLS"); n < 3 {
				t.Errorf("%d handshakes, want at least 3", n)
			}
			terminate(t, s)
		})
	}
}

// An address that a client has said goodbye from is free for the next one at once, as behind a router that uses a port again.
// Until then it is nobody else's.
func TestServerAddressUsedAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.issue(t, "other", pki.Spec{Name: "client2"})
	s := l.ourServer(t)
	conn := openUDP(t, l.client, "10.99.0.2:4444", "10.99.0.1:1194")
	first, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer first.session.Close()
	if err := first.play(5*time.Second, func() bool { return first.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(l.file("other.crt"), l.file("other.key"))
	if err != nil {
		t.Fatal(err)
	}
	next := func(limit time.Duration) bool {
		p, err := newPuppet(conn, cert, "V4", usual)
		if err != nil {
			t.Fatal(err)
		}
		defer p.session.Close()
		return p.play(limit, func() bool { return p.told("PUSH_REPLY") }) == nil
	}
	from := s.Lines()
	if next(2 * time.Second) {
		t.Error("another client took the address over")
	}
	s.WaitLineAfter(t, from, "TLS Error: another client started a session at the address of 'client1'", upLimit)
	_ = first.session.SendText("EXIT")
	_ = first.play(2*time.Second, func() bool { return strings.Contains(s.Log(), "CC-EEN exit message received by peer") })
	if !next(4 * time.Second) { // before the first would have been forgotten
		t.Error("the address is not free")
	}
}

// A script that thinks long about a client's key is asked once, and the client counts once for connect-freq.
func TestServerAsksAboutAKeyOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v2Keys(t, l)
	record := l.file("asked")
	hook := l.script(t, "hook.sh", "echo asked >>"+record+"\nsleep 3")
	s := l.ourServer(t, "--tls-crypt-v2", "v2s.key", "--tls-crypt-v2-verify", hook, "--script-security", "2", "--connect-freq", "1", "60")
	c := stock(t, l.client, l.clientArgs("--tls-crypt-v2", l.file("v2c.key")))
	c.WaitLine(t, up, upLimit)
	if got := fileText(record); got != "asked\n" {
		t.Errorf("the script was asked: %q", got)
	}
	ping(t, l.client, "10.8.0.1", 3, 1, "0.05")
	terminate(t, c)
	terminate(t, s)
}

// A client that begins anew gets through although somebody writes its address on packets of other sessions.
func TestServerRestartAmongForgeries(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t)
	conn := openUDP(t, l.client, "10.99.0.2:4444", "10.99.0.1:1194")
	first, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer first.session.Close()
	if err := first.play(5*time.Second, func() bool { return first.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	again, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer again.session.Close()
	if err := again.play(5*time.Second, func() bool { return strings.Contains(s.Log(), "TLS: Initial packet") }); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(20) {
		for _, op := range []wire.Opcode{wire.OpControlV1, wire.OpControlHardResetClientV2, wire.OpAckV1} {
			pkt := binary.BigEndian.AppendUint64([]byte{byte(op) << 3}, n+1)
			if _, err := conn.Write(append(pkt, 0, 0, 0, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := again.play(5*time.Second, func() bool { return again.told("PUSH_REPLY") }); err != nil {
		t.Errorf("it did not get through: %v", err)
	}
	terminate(t, s)
}

// A server leaves at once although a script judges a certificate.
func TestServerLeavesWhileAScriptThinks(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	record := l.file("asked")
	s := l.ourServer(t, "--script-security", "2", "--tls-verify", l.script(t, "think.sh", "echo asked >>"+record+"\nsleep 25"))
	stock(t, l.client, l.clientArgs())
	for deadline := time.Now().Add(upLimit); fileText(record) == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the script was not asked")
		}
	}
	start := time.Now()
	terminate(t, s)
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
}
