//go:build linux && soak

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// What a fleet costs a node's handshakes and its tunnels, against the same daemon without a fleet: the two take turns.
func TestSoakFleetCosts(t *testing.T) {
	const turns, clients = 16, 3000
	var handshakes, rates, to, back [2][]float64
	for turn := range turns {
		for k := range 2 {
			i := (turn + k) % 2 // what comes second finds another machine
			l := newLab(t)
			c := l.thousands(t, clients, l.maybeNode(t, i == 1, forThousands(clients)...))
			handshakes[i] = append(handshakes[i], c.handshake.Seconds()*1000)
			rates[i] = append(rates[i], clients/c.all.Seconds())
		}
	}
	for range 3 {
		for i := range 2 {
			there, here := tunnelRate(t, i == 1)
			to[i], back[i] = append(to[i], there), append(back[i], here)
		}
	}
	for _, f := range []struct {
		name string
		of   [2][]float64
	}{{"ms of processor time a login", handshakes}, {"logins a second", rates}, {"Mbit/s to the server", to}, {"Mbit/s from the server", back}} {
		a, b := middle(f.of[0]), middle(f.of[1])
		var pairs []float64
		for n := range f.of[0] {
			pairs = append(pairs, (f.of[1][n]/f.of[0][n]-1)*100)
		}
		t.Logf("%s: %.3f without, %.3f with a fleet: %+.1f %%; of pairs %+.1f %% (each: %.3f, %.3f)", f.name, a, b, (b/a-1)*100, middle(pairs), f.of[0], f.of[1])
	}
	for _, f := range [][2][]float64{to, back} {
		if middle(f[1]) < 0.9*middle(f[0]) { // 3 % are less than this machine's own unrest
			t.Errorf("the tunnel of a node is slower: %.1f without, %.1f with a fleet", f[0], f[1])
		}
	}
}

// What a login costs a node of three, in its own processor time, compared with a daemon without a fleet. The two others have their part of the same machine.
func TestSoakFleetCostsOfThree(t *testing.T) {
	const turns, clients = 9, 3000
	var logins [2][]float64
	for turn := range turns {
		for k := range 2 {
			i := (turn + k) % 2
			var c cost
			if i == 0 {
				l := newLab(t)
				c = l.thousands(t, clients, l.maybeNode(t, false, forThousands(clients)...))
			} else {
				l := &fleetLab{lab: newLab(t)}
				l.startNodes(t, func() *clock.System { return nil }, func(*fleetNode) []string { return forThousands(clients) })
				c = l.thousands(t, clients, l.nodes[0].daemon)
				for _, n := range l.nodes[1:] {
					terminate(t, n.daemon)
				}
			}
			logins[i] = append(logins[i], c.handshake.Seconds()*1000)
		}
	}
	a, b := middle(logins[0]), middle(logins[1])
	t.Logf("ms of processor time a login: %.3f without, %.3f at a node of three: %+.1f %% (each: %.3f)", a, b, (b/a-1)*100, logins)
}

func middle(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// maybeNode starts a server, or one that is the only node of a fleet, and waits until it serves newcomers. Both have a port, which keeps their log.
func (l *lab) maybeNode(t *testing.T, node bool, options ...string) *daemontest.Process {
	t.Helper()
	n := fleetNode{dir: l.file("node"), sock: l.file("node.sock")}
	options = append(options, "--management", n.sock, "unix")
	if !node {
		return l.ourServer(t, options...)
	}
	if _, err := pki.Init(n.dir, pki.Plan{Name: "a", Address: "127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	s := l.ourServer(t, append(options, "--fleet", n.dir)...)
	daemontest.Await(t, "the store answers", func() bool {
		status, err := n.status(t)
		return err == nil && status.Store == "up"
	})
	return s
}

// tunnelRate measures a tunnel between two daemons of ours, in Mbit/s.
func tunnelRate(t *testing.T, node bool) (to, back float64) {
	t.Helper()
	l := newLab(t)
	s := l.maybeNode(t, node)
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	to, back = carried(t, l.client, l.server, "10.8.0.1"), carried(t, l.client, l.server, "10.8.0.1", "-R")
	terminate(t, c)
	terminate(t, s)
	return to, back
}

// carried measures TCP from one host to another, in Mbit/s.
func carried(t *testing.T, from, to *daemontest.Namespace, address string, args ...string) float64 {
	t.Helper()
	const seconds = 4
	s := to.Start(t, "iperf3", "-s", "-1", "--forceflush")
	s.WaitLine(t, "Server listening", upLimit)
	defer s.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), (seconds+20)*time.Second)
	defer cancel()
	out, err := from.Command(ctx, "iperf3", append([]string{"-J", "-c", address, "-t", strconv.Itoa(seconds)}, args...)...).Output()
	var result struct {
		Error string
		End   struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if e := json.Unmarshal(out, &result); err != nil || e != nil || result.Error != "" {
		t.Fatalf("iperf3: %v %v\n%s", err, e, out)
	}
	return result.End.Received.Rate / 1e6
}

// What the relay carries, for a host whose packets to a client arrive at a node that does not have it.
func TestSoakFleetRelayRate(t *testing.T) {
	l := newFleetLAN(t)
	login := l.write(t, "login", []byte("joe\nsecret\n"))
	var rates []string
	for _, at := range []*fleetNode{l.nodes[2], l.nodes[0]} { // the node that the host's packets come to, and another one
		c := ours(t, l.mobile, l.clientArgs("--auth-user-pass", login, "--remote", at.address, "1194", "--route", "10.96.0.0", "255.255.255.0", "--explicit-exit-notify", "1"))
		c.WaitLine(t, up, upLimit)
		m := lanAddress.FindStringSubmatch(c.Log())
		if m == nil {
			t.Fatalf("the client has no address:\n%s", c.Log())
		}
		reached(t, l.behind, m[1:2], time.Now())
		to, back := carried(t, l.behind, l.mobile, m[1]), carried(t, l.behind, l.mobile, m[1], "-R")
		rates = append(rates, fmt.Sprintf("client at node %s: %.0f Mbit/s to it, %.0f Mbit/s from it", at.name, to, back))
		if to < 1 || back < 1 {
			t.Errorf("less than 1 Mbit/s: %s", rates[len(rates)-1])
		}
		terminate(t, c)
	}
	t.Log("a host behind node c, " + strings.Join(rates, "; "))
}
