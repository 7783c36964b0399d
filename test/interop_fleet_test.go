//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// fleetLab is three servers that act as one, and a host for their clients.
//
//	a 10.99.0.1 ──┐
//	b 10.99.0.2 ──┼── bridge, 10.99.0.254: clients
//	c 10.99.0.3 ──┘
type fleetLab struct {
	*lab
	nodes []*fleetNode
	calls string // a line for each password that was asked about
}

type fleetNode struct {
	name, address, dir, sock, journal string
	ns                                *daemontest.Namespace
	clock                             *clock.System // nil for the system's
	args                              []string
	daemon                            *daemontest.Process
}

func newFleetLab(t *testing.T, extra ...string) *fleetLab {
	t.Helper()
	return newFleetLabAt(t, func() *clock.System { return nil }, extra...)
}

// newFleetLabAt is newFleetLab with clocks for the nodes.
func newFleetLabAt(t *testing.T, clockOf func() *clock.System, extra ...string) *fleetLab {
	t.Helper()
	l := &fleetLab{lab: newLab(t)}
	l.calls = l.file("calls")
	verify := l.script(t, "verify.sh", `cat "$1" >>`+l.calls)
	l.startNodes(t, clockOf, func(n *fleetNode) []string {
		return append([]string{
			"--journal", n.journal, "--auth-user-pass-verify", verify, "via-file", "--script-security", "2", "--auth-gen-token", "--keepalive", "2", "8",
		}, extra...)
	})
	return l
}

// startNodes starts three nodes, each in a namespace of its own, with options beside those that it needs.
func (l *fleetLab) startNodes(t *testing.T, clockOf func() *clock.System, options func(n *fleetNode) []string) {
	t.Helper()
	l.lab.client = daemontest.NewNamespace(t)
	l.client.Run(t, "ip", "link", "add", "br0", "type", "bridge")
	l.client.Run(t, "ip", "addr", "add", "10.99.0.254/16", "dev", "br0")
	l.client.Run(t, "ip", "link", "set", "br0", "up")
	for i, name := range []string{"a", "b", "c"} {
		n := &fleetNode{name: name, address: fmt.Sprintf("10.99.0.%d", i+1), dir: l.file("node-" + name), sock: l.file(name + ".sock"), journal: l.file("journal-" + name), ns: daemontest.NewNamespace(t), clock: clockOf()}
		daemontest.Veth(t, n.ns, "eth0", []string{n.address + "/16"}, l.client, "port-"+name, nil)
		l.client.Run(t, "ip", "link", "set", "port-"+name, "master", "br0")
		l.nodes = append(l.nodes, n)
		plan := pki.Plan{Name: name, Address: n.address}
		if i == 0 {
			if _, err := pki.Init(n.dir, plan, time.Now()); err != nil {
				t.Fatal(err)
			}
		} else {
			first, err := pki.Load(l.nodes[0].dir)
			if err != nil {
				t.Fatal(err)
			}
			token, err := first.Invite(time.Hour, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			n.ns.Do(t, func() error {
				_, err := pki.Join(t.Context(), n.dir, token, plan)
				return err
			})
		}
		n.args = l.serverArgs(append([]string{"--fleet", n.dir, "--management", n.sock, "unix"}, options(n)...)...)
		n.start(t)
	}
	l.whole(t)
}

// whole waits until each node sees all three, and its store answers.
func (l *fleetLab) whole(t *testing.T) {
	t.Helper()
	for _, n := range l.nodes {
		daemontest.Await(t, "node "+n.name+" sees three nodes", func() bool {
			s, err := n.status(t)
			return err == nil && s.Store == "up" && len(s.Nodes) == 3
		})
	}
}

// start starts the node's daemon, again where it has been killed.
func (n *fleetNode) start(t *testing.T) {
	t.Helper()
	n.daemon = oursAt(t, n.ns, n.clock, n.args)
	n.daemon.WaitLine(t, up, upLimit)
}

// status is what fleet-status says.
func (n *fleetNode) status(t *testing.T) (s fleet.Status, err error) {
	t.Helper()
	c := manage(t, n.sock)
	defer c.Close()
	r, err := c.Cmd(t.Context(), "fleet-status")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(strings.TrimSuffix(strings.Join(r.Raw, ""), "END")), &s)
}

var pushedAddress = regexp.MustCompile(`PUSH_REPLY.*ifconfig (10\.8\.\d+\.\d+) `)

// address is the one that a client was pushed in its log from a line on.
func pushedFrom(p *daemontest.Process, from int) string {
	lines := strings.Split(p.Log(), "\n")
	for _, line := range lines[min(from, len(lines)):] {
		if m := pushedAddress.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}

// A node is killed, and its client is back on the next one with the same address and without a password; that one is drained, and the
// client goes on to the third in the same way.
func TestFleetClientMovesOn(t *testing.T) {
	t.Parallel()
	l := newFleetLab(t)
	login := l.write(t, "login", []byte("joe\nsecret\n"))
	c := stock(t, l.client, l.clientArgs(
		"--remote", "10.99.0.1", "1194", "--remote", "10.99.0.2", "1194", "--remote", "10.99.0.3", "1194",
		"--auth-user-pass", login, "--connect-retry", "1", "--connect-timeout", "2",
	))
	c.WaitLine(t, up, upLimit)
	address := pushedFrom(c, 0)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.2")

	from := c.Lines()
	l.nodes[0].daemon.Signal(t, syscall.SIGKILL)
	c.WaitLineAfter(t, from, "Inactivity timeout", upLimit)
	noticed := time.Now()
	c.WaitLineAfter(t, from, up, upLimit)
	t.Logf("back on the second node after %v", time.Since(noticed))
	if got := pushedFrom(c, from); got != address {
		t.Errorf("its address is %s on the second node, was %s", got, address)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.2")

	from = c.Lines()
	port := manage(t, l.nodes[1].sock)
	do(t, port, "fleet-drain", "20")
	c.WaitLineAfter(t, from, "[N]", upLimit)
	sent := time.Now()
	c.WaitLineAfter(t, from, up, upLimit)
	t.Logf("on the third node after %v", time.Since(sent))
	if got := pushedFrom(c, from); got != address {
		t.Errorf("its address is %s on the third node, was %s", got, address)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.2")
	daemontest.Await(t, "the drained node is empty, the third has the client", func() bool {
		s, err := l.nodes[2].status(t)
		if err != nil || s.Sessions != 1 {
			return false
		}
		for _, n := range s.Nodes {
			if n.Name == "b" && (n.State != "draining" || n.Sessions != 0) {
				return false
			}
		}
		return true
	})

	began := time.Now()
	r, err := port.Cmd(t.Context(), "fleet-kill cn client1")
	if err != nil || !strings.Contains(r.Text(), "not confirmed yet by: a") {
		t.Errorf("fleet-kill at the second node: %q, %v; want all but the lost one", r.Text(), err)
	}
	l.nodes[2].daemon.WaitLine(t, "FLEET: the client is ended: killed", upLimit)
	t.Logf("killed on the third node within %v", time.Since(began))

	b, err := os.ReadFile(l.calls)
	if err != nil || string(b) != "joe\nsecret\n" {
		t.Errorf("passwords that were asked about: %q, %v; want one", b, err)
	}
}
