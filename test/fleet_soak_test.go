//go:build linux && soak

package test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// inactivity is what a client says that has not heard of its server for too long.
const inactivity = "Inactivity timeout"

// Three nodes with three hundred clients, stock's and ours, twenty of them with devices and traffic: a node is killed, one is cut off from
// everything, one from the other nodes alone while newcomers log in everywhere, one is stopped for half a minute, the clocks are 10 s apart, and all three are
// killed.
// Nobody on other nodes loses a packet, no address is held by two clients, and those who lose their node are in again on another with
// their address and without a password within 5 s.
func TestSoakFleetThreeHundredClients(t *testing.T) {
	c := newFleetCrowd(t)
	c.join(t, joining{start: stock, n: 250 - 15, user: "stock"})
	c.join(t, joining{start: ours, n: 50 - 5, user: "ours"})
	c.join(t, joining{start: stock, n: 15, device: true, user: "traffic"})
	c.join(t, joining{start: ours, n: 5, device: true, user: "traffic"})
	c.judged(t)
	c.settled(t)
	a, b, third := c.nodes[0], c.nodes[1], c.nodes[2]
	c.episode(t, "node a is killed", func() { c.kill(t, a) })
	c.episode(t, "node b is cut off from everything", func() { c.cutOff(t, b) })
	c.episode(t, "node c does not reach the others, newcomers log in everywhere", func() { c.alone(t, third) })
	c.episode(t, "node b is stopped for half a minute, and goes on", func() { c.pause(t, b) })
	a.clock.Set(t, 5*time.Second)
	b.clock.Set(t, -5*time.Second)
	c.episode(t, "with clocks 10 s apart, node c is killed", func() { c.kill(t, third) })
	c.episode(t, "with clocks 10 s apart, node a is cut off from everything", func() { c.cutOff(t, a) })
	a.clock.Set(t, 0)
	b.clock.Set(t, 0)
	c.episode(t, "all nodes are killed, and start again", func() { c.killAll(t) })
	c.journals(t, 10*time.Second)
}

// Random kills and partitions, as long as the soak runs, with fewer clients.
func TestSoakFleetRandomFaults(t *testing.T) {
	c := newFleetCrowd(t)
	c.join(t, joining{start: stock, n: 18, user: "stock"})
	c.join(t, joining{start: ours, n: 6, user: "ours"})
	c.join(t, joining{start: stock, n: 4, device: true, user: "traffic"})
	c.join(t, joining{start: ours, n: 2, device: true, user: "traffic"})
	c.judged(t)
	c.settled(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	played := 0
	for end := time.Now().Add(daemontest.SoakTime(t)); time.Now().Before(end) && !t.Failed(); played++ {
		n := c.nodes[rnd.IntN(len(c.nodes))]
		switch rnd.IntN(12) {
		case 0, 1, 2:
			c.episode(t, "kill of "+n.name, func() { c.kill(t, n) })
		case 3, 4, 5:
			c.episode(t, "cut of "+n.name, func() { c.cutOff(t, n) })
		case 6, 7, 8:
			c.episode(t, n.name+" does not reach the others", func() { c.alone(t, n) })
		case 9, 10:
			c.episode(t, n.name+" is stopped for half a minute", func() { c.pause(t, n) })
		default:
			c.episode(t, "kill of all", func() { c.killAll(t) })
		}
	}
	c.journals(t, 0)
	t.Logf("%d episodes", played)
}

func newFleetCrowd(t *testing.T, extra ...string) *fleetCrowd {
	t.Helper()
	return &fleetCrowd{fleetLab: newFleetLabAt(t, func() *clock.System { return clock.NewSystem(t) }, append(append([]string(nil), crowdArgs...), extra...)...)}
}

// settled waits until every client is at one node, which all nodes agree about, and the store has their leases.
func (c *fleetCrowd) settled(t *testing.T) {
	t.Helper()
	c.whole(t)
	await(t, "each client is at one node, and the store knows", crowdLimit, func() bool {
		sessions := 0
		for _, n := range c.nodes {
			s, err := n.status(t)
			if err != nil || s.Store != "up" || s.Leases != len(c.all) {
				return false
			}
			sessions += s.Sessions
		}
		return sessions == len(c.all)
	})
}

// episode plays a fault, and then waits until all is well again. Nobody is asked for a password but newcomers.
func (c *fleetCrowd) episode(t *testing.T, what string, play func()) {
	t.Helper()
	t.Log(what)
	known, asked := len(c.all), c.passwords()
	began := time.Now()
	play()
	c.settled(t)
	whole := time.Since(began)
	if more, fresh := c.passwords()-asked, len(c.all)-known; more != fresh {
		t.Errorf("%d passwords were asked about, and there are %d newcomers", more, fresh)
	}
	t.Logf("  all well after %v", whole.Round(100*time.Millisecond))
	c.level(t)
}

// level brings the nodes about the same number of clients, as time and newcomers would: those in excess are sent on.
func (c *fleetCrowd) level(t *testing.T) {
	t.Helper()
	for range 2 * len(c.nodes) {
		from := make(map[*fleetClient]int)
		for _, n := range c.nodes {
			there := c.of(t, n)
			excess := there[min(len(there), len(c.all)/len(c.nodes)+1+len(c.all)/20):]
			rows, err := n.clients(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			port := manage(t, n.sock)
			for _, r := range excess {
				from[r] = r.run.Lines()
				i := slices.IndexFunc(rows, func(row client.StatusClient) bool { return row.CommonName == r.name })
				do(t, port, "client-kill", rows[i].ClientID, "RESTART,[N]")
			}
			port.Close()
		}
		if len(from) == 0 {
			return
		}
		back(t, from, nextRemoteSent)
		c.settled(t)
	}
}

// moved waits for the clients of a lost node at the others.
func (c *fleetCrowd) moved(t *testing.T, from map[*fleetClient]int) {
	t.Helper()
	took := back(t, from, inactivity)
	t.Logf("  back after they noticed: %s", spread(took))
	if share(took, 100) > 5*time.Second {
		t.Error("more than 5 s")
	}
}

// kill kills a node, and starts it again when its clients are elsewhere.
func (c *fleetCrowd) kill(t *testing.T, n *fleetNode) {
	t.Helper()
	there := c.of(t, n)
	steady := c.steady(t, there)
	from := marks(there)
	n.daemon.Signal(t, syscall.SIGKILL)
	c.moved(t, from)
	n.start(t)
	c.settled(t)
	steady()
}

// cutOff takes the port of a node down, and up again when its clients are elsewhere.
func (c *fleetCrowd) cutOff(t *testing.T, n *fleetNode) {
	t.Helper()
	there := c.of(t, n)
	steady := c.steady(t, there)
	from := marks(there)
	c.client.Run(t, "ip", "link", "set", "port-"+n.name, "down")
	c.moved(t, from)
	c.client.Run(t, "ip", "link", "set", "port-"+n.name, "up")
	c.settled(t)
	steady()
}

// pause stops a node's process as a suspended machine does, longer than its clients wait. When it goes on it has lost them, and knows.
func (c *fleetCrowd) pause(t *testing.T, n *fleetNode) {
	t.Helper()
	there := c.of(t, n)
	steady := c.steady(t, there)
	from := marks(there)
	until := time.Now().Add(30 * time.Second)
	n.daemon.Signal(t, syscall.SIGSTOP)
	c.moved(t, from)
	time.Sleep(time.Until(until))
	n.daemon.Signal(t, syscall.SIGCONT)
	c.settled(t)
	steady()
}

// alone lets a node and the others not reach each other, while all clients reach all of them: nobody moves, and newcomers are let in on both sides.
func (c *fleetCrowd) alone(t *testing.T, n *fleetNode) {
	t.Helper()
	steady := c.steady(t, nil)
	c.reaches(t, n, false)
	c.join(t, joining{start: stock, n: len(c.nodes), user: fmt.Sprint("newcomer-", c.fresh)})
	c.reaches(t, n, true)
	c.settled(t)
	steady()
}

// killAll kills all nodes at the same time and starts them again.
func (c *fleetCrowd) killAll(t *testing.T) {
	t.Helper()
	from := marks(c.all)
	for _, n := range c.nodes {
		n.daemon.Signal(t, syscall.SIGKILL)
	}
	for _, n := range c.nodes {
		n.daemon.Wait(t, upLimit) // and its ports are free
		n.start(t)
	}
	t.Logf("  back after they noticed: %s", spread(back(t, from, inactivity)))
}

// A thousand stock clients are drained: each is in again on another node within 3 s of what it was told, but for one in twenty, and
// nobody is lost or asked for a password.
func TestSoakFleetDrainOfAThousand(t *testing.T) {
	c := newFleetCrowd(t, "--keepalive", "10", "60")
	const clients = 1000
	port := manage(t, c.nodes[0].sock)
	for len(c.all) < clients {
		c.join(t, joining{start: stock, n: 100, user: "drained", first: c.nodes[0]})
	}
	c.judged(t)
	c.settled(t)
	asked, from := c.passwords(), marks(c.all)
	began := time.Now()
	do(t, port, "fleet-drain", "300")
	took := back(t, from, nextRemoteSent)
	t.Logf("all are elsewhere after %v; each: %s", time.Since(began).Round(10*time.Millisecond), spread(took))
	if share(took, 95) > 3*time.Second {
		t.Error("more than 3 s for more than one in twenty")
	}
	if more := c.passwords() - asked; more > 0 {
		t.Errorf("%d passwords were asked about", more)
	}
	await(t, "the drained node is empty", upLimit, func() bool {
		s, err := c.nodes[0].status(t)
		return err == nil && s.Sessions == 0
	})
}

// nextRemoteSent is in a client's line about the order to go on to its next remote.
const nextRemoteSent = "[N]"

// A user who is killed is out on all nodes within a second, by the store and by the nodes' talk alike.
func TestSoakFleetKillIsQuick(t *testing.T) {
	c := newFleetCrowd(t)
	program(t) // built before it is measured
	c.join(t, joining{start: stock, n: 90, user: "bystander"})
	for _, how := range []string{"fleet-kill", "-a fleet kill"} {
		victims := c.join(t, joining{start: stock, n: 9, user: "mallory", extra: []string{"--pull-filter", "ignore", "ping-restart"}})
		c.settled(t)
		began := time.Now()
		if how == "fleet-kill" {
			do(t, manage(t, c.nodes[0].sock), "fleet-kill", "user", "mallory")
		} else {
			c.moongate(t, c.nodes[0], "-a", "fleet", "kill", "--user", "mallory")
		}
		answered := time.Since(began)
		var left int
		for {
			left = 0
			for _, n := range c.nodes {
				rows, err := n.clients(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					if row.Username == "mallory" {
						left++
					}
				}
			}
			if left == 0 || time.Since(began) > upLimit {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		took := time.Since(began)
		t.Logf("%s: answered after %v, %d left after %v", how, answered, left, took)
		if left > 0 || took > time.Second {
			t.Errorf("%s: more than a second", how)
		}
		c.gone(t, victims)
	}
}

// moongate runs a command on a node's machine and returns what it says.
func (c *fleetCrowd) moongate(t *testing.T, n *fleetNode, args ...string) string {
	t.Helper()
	return n.ns.Run(t, append([]string{"env", "MOONGATE_FLEET=" + n.dir, "bash", "-c", `exec -a moongate "$0" "$@"`, program(t)}, args...)...)
}

// gone ends clients for good.
func (c *fleetCrowd) gone(t *testing.T, list []*fleetClient) {
	t.Helper()
	for _, r := range list {
		r.run.Stop(t)
	}
	c.all = c.all[:len(c.all)-len(list)]
}

// Of a hundred clients of one user that log in at the same time at three nodes, one stays.
func TestSoakFleetOneOfAHundredStays(t *testing.T) {
	for _, rule := range []string{"newest", "oldest"} {
		t.Run(rule, func(t *testing.T) {
			c := newFleetCrowd(t, "--fleet-limit", "1", rule, "strict")
			const clients = 100
			began := time.Now()
			c.hurl(t, clients)
			await(t, "one stays, and everybody has been decided about", crowdLimit, func() bool {
				if c.passwords() < clients {
					return false
				}
				in := 0
				for _, n := range c.nodes {
					rows, err := n.clients(t.Context())
					if err != nil {
						return false
					}
					in += len(rows)
				}
				return in == 1
			})
			t.Logf("one is left after %v", time.Since(began).Round(10*time.Millisecond))
			for range 20 { // and stays
				time.Sleep(100 * time.Millisecond)
				if n := len(c.homes(t)); n != 1 {
					t.Errorf("%d clients of the user", n)
				}
			}
		})
	}
}

// hurl starts clients of one user, without waiting for any. One that is put out stays out.
func (c *fleetCrowd) hurl(t *testing.T, clients int) {
	t.Helper()
	login := c.write(t, "login-alice", []byte("alice\nsecret\n"))
	for i := range clients {
		name := "alice-" + strconv.Itoa(i)
		c.issue(t, name, pki.Spec{Name: name})
		stock(t, c.client, c.clientArgs(
			"--nobind", "--remote", c.nodes[i%len(c.nodes)].address, "1194", "--cert", c.file(name+".crt"), "--key", c.file(name+".key"), "--auth-user-pass", login,
			"--dev", "null", "--ifconfig-noexec", "--route-noexec", "--pull-filter", "ignore", "ping-restart", "--connect-timeout", "30",
		))
	}
}
