//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// fleetLAN is a fleet lab with hosts that do not know of it. Addresses of the pools, 10.99.0.64/26 and fd99::1:0/112, are in the networks of the nodes. No
// node knows a way to a host that it does not share a link with, nor does it to the router's. Each IPv4 address 10.X.0.Y has its fdX::Y beside it.
//
//	mobile 10.97.0.2 ── bridge ─┬─ a 10.99.0.1
//	                            ├─ b 10.99.0.2
//	                            ├─ c 10.99.0.3 ── behind 10.96.0.2   goes to the pool by c, whatever happens
//	                            ├─ beside 10.99.0.200                asks for addresses (ARP)
//	                            └─ router 10.99.0.201                knows what its routing daemon tells it
type fleetLAN struct {
	*fleetLab
	mobile, behind, beside, router *daemontest.Namespace
}

func newFleetLAN(t *testing.T) *fleetLAN {
	t.Helper()
	l := &fleetLAN{}
	l.fleetLab = newFleetLab(t, "--server", "10.99.0.64", "255.255.255.192", "--server-ipv6", "fd99::1:0/112", "--keepalive", "1", "4",
		"--fleet-route", "relay", "--fleet-route", "kernel", "--fleet-route", "proxy-arp", "eth0")
	join := func(addresses []string, to *daemontest.Namespace, dev string, others ...string) *daemontest.Namespace {
		n := daemontest.NewNamespace(t)
		daemontest.Veth(t, n, "eth0", addresses, to, dev, others)
		return n
	}
	l.mobile = join([]string{"10.97.0.2/24"}, l.client, "mobile", "10.97.0.1/24")
	l.mobile.Run(t, "ip", "route", "add", "default", "via", "10.97.0.1")
	l.behind = join([]string{"10.96.0.2/24", "fd96::2/64"}, l.nodes[2].ns, "eth1", "10.96.0.1/24", "fd96::1/64")
	l.behind.Run(t, "ip", "route", "add", "default", "via", "10.96.0.1")
	l.behind.Run(t, "ip", "route", "add", "default", "via", "fd96::1")
	l.beside = join([]string{"10.99.0.200/24", "fd99::200/64"}, l.client, "beside")
	l.router = join([]string{"10.99.0.201/32", "fd99::201/128"}, l.client, "router")
	for _, dev := range []string{"beside", "router"} {
		l.client.Run(t, "ip", "link", "set", dev, "master", "br0")
	}
	for _, n := range l.nodes {
		n.ns.Run(t, "ip", "route", "add", "10.97.0.0/24", "via", "10.99.0.254")
		l.router.Run(t, "ip", "route", "add", n.address+"/32", "dev", "eth0")
		n.ns.Run(t, "ip", "addr", "add", n.address6()+"/64", "dev", "eth0", "nodad")
		l.router.Run(t, "ip", "route", "add", n.address6()+"/128", "dev", "eth0")
	}
	for _, n := range []*daemontest.Namespace{l.client, l.nodes[0].ns, l.nodes[1].ns, l.nodes[2].ns} {
		n.Run(t, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	}
	return l
}

// address6 is fd99::Y for 10.99.0.Y.
func (n *fleetNode) address6() string {
	return "fd99::" + n.address[strings.LastIndexByte(n.address, '.')+1:]
}

// learned is what a routing daemon at each node would tell the router: where the routes of our protocol are.
func (l *fleetLAN) learned(t *testing.T) (at map[string]string) {
	t.Helper()
	at = make(map[string]string)
	for _, n := range l.nodes {
		for _, family := range []string{"-4", "-6"} {
			var list []struct{ Dst, Dev string }
			if err := json.Unmarshal([]byte(n.ns.Run(t, "ip", family, "-j", "route", "show", "proto", "109")), &list); err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				if r.Dev != "tun0" {
					t.Errorf("node %s: a route of ours to %s by %s", n.name, r.Dst, r.Dev)
				}
				at[r.Dst] = n.name
			}
		}
	}
	return at
}

// follow has the router's routing daemon learn that a client's addresses are at a node.
func (l *fleetLAN) follow(t *testing.T, addresses []string, n *fleetNode) {
	t.Helper()
	daemontest.Await(t, fmt.Sprintf("the routes to %s are at node %s alone", addresses, n.name), func() bool {
		at := l.learned(t)
		return len(at) == 2 && at[addresses[0]] == n.name && at[addresses[1]] == n.name
	})
	l.router.Run(t, "ip", "route", "replace", addresses[0]+"/32", "via", n.address)
	l.router.Run(t, "ip", "route", "replace", addresses[1]+"/128", "via", n.address6())
}

// reached waits until a host has an answer from each address, and returns how long that took.
func reached(t *testing.T, from *daemontest.Namespace, addresses []string, begin time.Time) time.Duration {
	t.Helper()
	for _, address := range addresses {
		firstAnswer(t, from, address)
	}
	return time.Since(begin)
}

// answers pings a client's addresses at the same time.
func answers(t *testing.T, from *daemontest.Namespace, addresses []string) {
	t.Helper()
	for _, address := range addresses {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			ping(t, from, address, 5, 0, "0.2")
		})
	}
}

var (
	lanAddress  = regexp.MustCompile(`PUSH_REPLY.*ifconfig (10\.99\.0\.\d+) `)
	lanAddress6 = regexp.MustCompile(`PUSH_REPLY.*ifconfig-ipv6 (fd99::1:[0-9a-f]+)/`)
)

// Hosts that know nothing of the fleet reach a client before and after its node is killed: by routes that are told, by asking for its address,
// and by a node that does not have it. Clients of two nodes reach each other.
func TestFleetRoute(t *testing.T) {
	t.Parallel()
	l := newFleetLAN(t)
	login := l.write(t, "login", []byte("joe\nsecret\n"))
	remotes := []string{"--auth-user-pass", login, "--connect-retry", "1", "--connect-timeout", "2", "--route", "10.96.0.0", "255.255.255.0",
		"--route", "10.99.0.200", "255.255.255.255", "--route", "10.99.0.201", "255.255.255.255",
		"--route-ipv6", "fd96::/64", "--route-ipv6", "fd99::200/128", "--route-ipv6", "fd99::201/128"}
	c := stock(t, l.mobile, l.clientArgs(append(remotes, "--remote", "10.99.0.1", "1194", "--remote", "10.99.0.2", "1194")...))
	c.WaitLine(t, up, upLimit)
	m, m6 := lanAddress.FindStringSubmatch(c.Log()), lanAddress6.FindStringSubmatch(c.Log())
	if m == nil || m6 == nil {
		t.Fatalf("no addresses in the client's log: %q, %q", m, m6)
	}
	address := []string{m[1], m6[1]}
	hosts := map[string]*daemontest.Namespace{"behind": l.behind, "beside": l.beside, "router": l.router}
	l.follow(t, address, l.nodes[0])
	for name, h := range hosts {
		t.Logf("%s has an answer after %v", name, reached(t, h, address, time.Now()))
	}
	for name, h := range hosts {
		t.Run("before/"+name, func(t *testing.T) { answers(t, h, address) })
	}

	from := c.Lines()
	begin := time.Now()
	l.nodes[0].daemon.Signal(t, syscall.SIGKILL)
	c.WaitLineAfter(t, from, up, upLimit)
	back := time.Now()
	t.Logf("the client is back after %v", back.Sub(begin))
	for _, name := range []string{"behind", "beside"} {
		t.Logf("%s has an answer %v after that", name, reached(t, hosts[name], address, back))
	}
	l.follow(t, address, l.nodes[1])
	t.Logf("router has an answer %v after that", reached(t, l.router, address, back))
	for name, h := range hosts {
		t.Run("after/"+name, func(t *testing.T) { answers(t, h, address) })
	}
	mac := l.nodes[1].ns.LinkFile(t, "eth0", "address")
	for _, a := range address {
		if out := l.beside.Run(t, "ip", "neigh", "show", a); !strings.Contains(out, mac) {
			t.Errorf("the host beside has %q, and the second node is at %s", out, mac)
		}
	}

	second := daemontest.NewNamespace(t)
	daemontest.Veth(t, second, "eth0", []string{"10.94.0.2/24"}, l.client, "second", []string{"10.94.0.1/24"})
	second.Run(t, "ip", "route", "add", "default", "via", "10.94.0.1")
	l.nodes[2].ns.Run(t, "ip", "route", "add", "10.94.0.0/24", "via", "10.99.0.254")
	leaf := l.issue(t, "other", pki.Spec{Name: "other"})
	args := l.clientArgs(append(remotes, "--remote", "10.99.0.3", "1194", "--cert", l.file("other.crt"), "--key", l.file("other.key"))...)
	o := stock(t, second, args)
	o.WaitLine(t, up, upLimit)
	reached(t, second, address, time.Now()) // the nodes tell each other of its addresses
	t.Run("client to client", func(t *testing.T) { answers(t, second, address) })

	l.share(t, o, leaf.Cert.SerialNumber.String())

	terminate(t, l.nodes[1].daemon)
	if out := l.nodes[1].ns.Run(t, "ip", "neigh", "show", "proxy"); out != "" {
		t.Errorf("a node that has ended still answers for %q", out)
	}
}

// share gives the client "other" of the third node a file, and then keeps its certificate out: both at the second node.
func (l *fleetLAN) share(t *testing.T, other *daemontest.Process, serial string) {
	t.Helper()
	port := manage(t, l.nodes[1].sock)
	if _, err := port.Block(t.Context(), "fleet-ccd other", []string{`push "route 10.93.0.0 255.255.255.0"`, "port 1"}); err == nil || !strings.Contains(err.Error(), "line 2: Options error: option 'port'") {
		t.Errorf("a line that no client's file may have: %v; want an error that names it", err)
	}
	if _, err := port.Block(t.Context(), "fleet-ccd other", []string{`push "route 10.93.0.0 255.255.255.0"`}); err != nil {
		t.Fatalf("fleet-ccd: %v", err)
	}
	from := other.Lines()
	do(t, port, "fleet-kill", "cn", "other")
	other.WaitLineAfter(t, from, "route 10.93.0.0 255.255.255.0", upLimit)
	other.WaitLineAfter(t, from, up, upLimit)

	from = other.Lines()
	begin := time.Now()
	do(t, port, "fleet-revoke", serial, "lost laptop")
	l.nodes[2].daemon.WaitLine(t, "FLEET: the client is ended: revoked", upLimit)
	t.Logf("ended at the third node %v after the revocation at the second", time.Since(begin))
	other.WaitLineAfter(t, from, "AUTH_FAILED,certificate revoked in the fleet: lost laptop", upLimit)
}
