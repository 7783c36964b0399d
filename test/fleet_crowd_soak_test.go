//go:build linux && soak

package test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// fleetCrowd is the clients of a fleet, each with a certificate, a token once it is in, and a remote line for each node.
type fleetCrowd struct {
	*fleetLab
	all   []*fleetClient
	fresh int // names so far
}

// fleetClient is a client that stays for the whole test.
type fleetClient struct {
	name    string
	run     *daemontest.Process
	ns      *daemontest.Namespace // of its own, with a real device, or nil
	address string                // in the tunnel
}

// crowdLimit bounds a wait for clients of a crowd: the machine may have other work.
const crowdLimit = 90 * time.Second

// crowdArgs are options of a node for a crowd: a quarter of the pool is the nodes' own, the rest has to hold a thousand.
var crowdArgs = []string{"--server", "10.8.0.0", "255.255.248.0", "--connect-freq-initial", "100000", "1", "--max-clients", "2000", "--verb", "3"}

// joining says which clients join a crowd.
type joining struct {
	start  starter
	n      int
	device bool       // each has a host of its own, and a device
	user   string     // that logs in
	first  *fleetNode // first remote of all; nil spreads them over the nodes
	extra  []string
}

// join starts clients and waits until all of them are in.
func (c *fleetCrowd) join(t *testing.T, j joining) []*fleetClient {
	t.Helper()
	login := c.write(t, "login-"+j.user, []byte(j.user+"\nsecret\n"))
	var all []*fleetClient
	for i := range j.n {
		c.fresh++
		r := &fleetClient{name: fmt.Sprintf("client-%d", c.fresh)}
		c.issue(t, r.name, pki.Spec{Name: r.name})
		args := []string{
			"--client", "--nobind", "--verb", "3", "--machine-readable-output", "--remote-cert-tls", "server", "--ca", c.file("ca.crt"), "--cert", c.file(r.name + ".crt"), "--key", c.file(r.name + ".key"),
			"--auth-user-pass", login, "--connect-retry", "1", "--connect-timeout", "2", "--explicit-exit-notify", "1",
		}
		if j.first != nil {
			i = slices.Index(c.nodes, j.first)
		}
		for k := range c.nodes {
			args = append(args, "--remote", c.nodes[(i+k)%len(c.nodes)].address, "1194")
		}
		on := c.client
		if j.device {
			r.ns = daemontest.NewNamespace(t)
			port := fmt.Sprint("p", c.fresh)
			daemontest.Veth(t, r.ns, "eth0", []string{fmt.Sprintf("10.99.%d.%d/16", 1+c.fresh/200, 1+c.fresh%200)}, c.client, port, nil)
			c.client.Run(t, "ip", "link", "set", port, "master", "br0")
			on = r.ns
			args = append(args, "--dev", "tun")
		} else {
			args = append(args, "--dev", "null", "--ifconfig-noexec", "--route-noexec")
		}
		r.run = j.start(t, on, append(args, j.extra...))
		all = append(all, r)
	}
	t.Cleanup(func() { // all at once: each takes its time to say goodbye
		for _, r := range all {
			r.run.Signal(t, syscall.SIGTERM)
		}
	})
	for _, r := range all {
		r.run.WaitLine(t, up, crowdLimit)
		if r.address = pushedFrom(r.run, 0); r.address == "" {
			t.Fatalf("%s has no address:\n%s", r.name, r.run.Log())
		}
	}
	c.all = append(c.all, all...)
	return all
}

// homes says at which node each client is.
func (c *fleetCrowd) homes(t *testing.T) map[string]*fleetNode {
	t.Helper()
	at := make(map[string]*fleetNode)
	for _, n := range c.nodes {
		s, err := n.clients(t.Context())
		if err != nil {
			t.Fatalf("node %s: %v", n.name, err)
		}
		for _, row := range s {
			at[row.CommonName] = n
		}
	}
	return at
}

// of are the clients at a node.
func (c *fleetCrowd) of(t *testing.T, n *fleetNode) (list []*fleetClient) {
	t.Helper()
	homes := c.homes(t)
	for _, r := range c.all {
		if homes[r.name] == n {
			list = append(list, r)
		}
	}
	return list
}

// clients asks a node for its clients.
func (n *fleetNode) clients(ctx context.Context) ([]client.StatusClient, error) {
	ctx, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	c, err := client.Dial(ctx, "unix:"+n.sock, client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s, err := c.Status(ctx)
	return s.Clients, err
}

// marks are the numbers of lines that clients have written so far.
func marks(list []*fleetClient) map[*fleetClient]int {
	m := make(map[*fleetClient]int)
	for _, r := range list {
		m[r] = r.run.Lines()
	}
	return m
}

// back waits until clients are in again and says how long each took since it noticed, by its own clock, sorted. Each has its address.
func back(t *testing.T, from map[*fleetClient]int, notices string) []time.Duration {
	t.Helper()
	var took []time.Duration
	for r, at := range from {
		r.run.WaitLineAfter(t, at, notices, crowdLimit)
		r.run.WaitLineAfter(t, at, up, crowdLimit)
		lines := strings.Split(r.run.Log(), "\n")[at:]
		took = append(took, stamp(t, lines, up).Sub(stamp(t, lines, notices)))
		if got := pushedFrom(r.run, at); got != r.address {
			t.Errorf("%s has %s, had %s", r.name, got, r.address)
		}
	}
	slices.Sort(took)
	return took
}

// stamp is the time of the first line with a text, in machine-readable-output.
func stamp(t *testing.T, lines []string, text string) time.Time {
	t.Helper()
	for _, line := range lines {
		if strings.Contains(line, text) {
			sec, err := strconv.ParseFloat(strings.Fields(line)[0], 64)
			if err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			return time.UnixMicro(int64(sec * 1e6))
		}
	}
	t.Fatalf("no line %q", text)
	return time.Time{}
}

// share is an element of a sorted list.
func share(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(time.Millisecond)
}

func spread(sorted []time.Duration) string {
	return fmt.Sprintf("%d clients: median %v, 95 %% %v, all %v", len(sorted), share(sorted, 50), share(sorted, 95), share(sorted, 100))
}

// steady pings through the tunnels of the clients that are not in except, and returns a function that ends that and fails the test for
// each packet that had no answer; the last second's may be on their way.
func (c *fleetCrowd) steady(t *testing.T, except []*fleetClient) (end func()) {
	t.Helper()
	type run struct {
		r *fleetClient
		p *daemontest.Process
	}
	const aSecond = 5 // packets
	var all []run
	for _, r := range c.all {
		if r.ns != nil && !slices.Contains(except, r) {
			all = append(all, run{r, r.ns.Start(t, "ping", "-n", "-i", "0.2", "10.8.0.1")})
		}
	}
	began := time.Now()
	return func() {
		t.Helper()
		time.Sleep(time.Until(began.Add(5 * time.Second)))
		sent := 0
		for _, x := range all {
			x.p.Signal(t, syscall.SIGINT)
			x.p.Wait(t, upLimit)
			log := x.p.Log()
			var of, lost int
			if i := strings.Index(log, " packets transmitted"); i > 0 {
				of, _ = strconv.Atoi(log[strings.LastIndexByte(log[:i], '\n')+1 : i])
			}
			for seq := 1; seq <= of-aSecond; seq++ {
				if !strings.Contains(log, fmt.Sprintf("icmp_seq=%d ttl=", seq)) {
					lost++
				}
			}
			sent += of
			if of <= aSecond || lost > 0 {
				t.Errorf("%s lost %d of %d packets:\n%s", x.r.name, lost, of, tailOf(log, 12))
			}
		}
		t.Logf("  %d clients with devices at other nodes sent %d packets", len(all), sent)
	}
}

func tailOf(text string, lines int) string {
	list := strings.Split(text, "\n")
	return strings.Join(list[max(0, len(list)-lines):], "\n")
}

// passwords is how many passwords the nodes were asked about.
func (l *fleetLab) passwords() int {
	b, _ := os.ReadFile(l.calls)
	return strings.Count(string(b), "\n") / 2
}

// judge watches that no address is held by two clients: it asks all nodes at the same time, again and again, until its test ends.
type judge struct {
	samples atomic.Int64
	mu      sync.Mutex
	wrong   []string
}

func (c *fleetCrowd) judged(t *testing.T) *judge {
	t.Helper()
	j := new(judge)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			j.sample(ctx, c.nodes)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		j.mu.Lock()
		defer j.mu.Unlock()
		t.Logf("the addresses of all nodes were compared %d times", j.samples.Load())
		for _, w := range j.wrong {
			t.Error(w)
		}
	})
	return j
}

func (j *judge) sample(ctx context.Context, nodes []*fleetNode) {
	answers := make([][]client.StatusClient, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { answers[i], _ = n.clients(ctx) }) // a node that is down has none
	}
	all.Wait()
	holder := make(map[string]string)
	for i, rows := range answers {
		for _, row := range rows {
			if row.VirtualAddress == "" {
				continue
			}
			if other, ok := holder[row.VirtualAddress]; ok && other != row.CommonName {
				j.mu.Lock()
				j.wrong = append(j.wrong, fmt.Sprintf("%s is held by %s, and by %s at node %s", row.VirtualAddress, other, row.CommonName, nodes[i].name))
				j.mu.Unlock()
			}
			holder[row.VirtualAddress] = row.CommonName
		}
	}
	j.samples.Add(1)
}

// journals checks the same by what the nodes have written down: the times of two clients with one address do not overlap. slack is how far
// the nodes' clocks were apart.
func (c *fleetCrowd) journals(t *testing.T, slack time.Duration) {
	t.Helper()
	by := make(map[string][]index.Session)
	n := 0
	for _, node := range c.nodes {
		list, err := index.Sessions(t.Context(), node.journal, index.SessionFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			for _, a := range s.Tunnel {
				by[a] = append(by[a], s)
				n++
			}
		}
	}
	overlap := func(a, b index.Session) bool {
		end := func(s index.Session) time.Time {
			if s.Until.IsZero() {
				return time.Now()
			}
			return s.Until
		}
		return a.Since.Before(end(b).Add(-slack)) && b.Since.Before(end(a).Add(-slack))
	}
	for address, list := range by {
		for i, a := range list {
			for _, b := range list[i+1:] {
				if a.CN != b.CN && overlap(a, b) {
					t.Errorf("%s was held by %s %v to %v, and by %s %v to %v", address, a.CN, a.Since, a.Until, b.CN, b.Since, b.Until)
				}
			}
		}
	}
	t.Logf("the journals have %d sessions on %d addresses", n, len(by))
	c.merged(t)
}

// merged compares the history that a node tells of the fleet with what the nodes have written down, each for itself, partitions and all.
func (c *fleetCrowd) merged(t *testing.T) {
	t.Helper()
	written := 0
	for _, n := range c.nodes {
		err := index.Each(t.Context(), n.journal, index.Filter{Kinds: []string{journal.KindConnect}}, func(*journal.Event) error {
			written++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	told := strings.Count(c.moongate(t, c.nodes[0], "-a", "fleet", "--reply-timeout", "60s", "history", "--kind", journal.KindConnect, "--json"), "\n")
	t.Logf("the nodes have written %d connections down, and the merged history has %d", written, told)
	if told < written {
		t.Errorf("the merged history lacks %d connections", written-told)
	}
}
