//go:build linux && soak

package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// While a node is cut off, the history of the fleet says that it is lacking. When the partition is over, the first question gets what all nodes have
// written down meanwhile: each event once, in the order of time, with its node, whichever node is asked.
func TestSoakFleetHistoryAfterAPartition(t *testing.T) {
	c := newFleetCrowd(t)
	for _, n := range c.nodes {
		c.join(t, joining{start: stock, n: 1, first: n, user: "before-" + n.name})
	}
	c.settled(t)
	far := c.nodes[2]
	c.reaches(t, far, false)
	for _, n := range c.nodes {
		c.join(t, joining{start: stock, n: 2, first: n, user: "during-" + n.name})
	}
	for _, command := range []string{"history", "last", "sessions"} {
		answer := c.ask(t, c.nodes[0], "-a", "fleet", "--reply-timeout", "3s", command, "--json")
		if answer.code != 3 || !strings.Contains(answer.errors, "2 of 3 nodes answered, not: "+far.name) {
			t.Errorf("%s while node %s is cut off: exit code %d, %q", command, far.name, answer.code, answer.errors)
		}
		for _, user := range []string{"before-a", "during-b"} {
			if !strings.Contains(answer.out, user) {
				t.Errorf("%s lacks %s, which the nodes in reach know", command, user)
			}
		}
		if strings.Contains(answer.out, "during-"+far.name) {
			t.Errorf("%s has what only node %s can know", command, far.name)
		}
	}
	c.reaches(t, far, true)
	c.settled(t)

	until := time.Now().UTC().Format(time.RFC3339Nano)
	for _, n := range c.nodes {
		c.complete(t, n, until)
	}
	for _, user := range []string{"during-a", "during-c"} {
		answer := c.ask(t, c.nodes[1], "-a", "fleet", "last", user)
		if node := strings.TrimPrefix(user, "during-"); answer.code != 0 || !strings.Contains(answer.out, node) || strings.Count(answer.out, user) != 2 {
			t.Errorf("last %s: exit code %d, %s%s", user, answer.code, answer.out, answer.errors)
		}
	}
	answer := c.ask(t, c.nodes[1], "-a", "fleet", "sessions", "--json")
	if n := strings.Count(answer.out, `"tunnel"`); n != len(c.all) {
		t.Errorf("%d sessions, and %d clients are in:\n%s", n, len(c.all), answer.out)
	}
}

// complete compares the merged history up to a time with what each node has written down.
func (c *fleetCrowd) complete(t *testing.T, asked *fleetNode, until string) {
	t.Helper()
	end, err := time.Parse(time.RFC3339Nano, until)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]int)
	for _, n := range c.nodes {
		err := index.Each(t.Context(), n.journal, index.Filter{Until: end}, func(e *journal.Event) error {
			want[n.name+" "+text(t, e)]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	written := len(want)
	answer := c.ask(t, asked, "-a", "fleet", "--reply-timeout", "30s", "history", "--until", until, "--json")
	if answer.code != 0 {
		t.Fatalf("history at node %s: exit code %d, %s", asked.name, answer.code, answer.errors)
	}
	var last time.Time
	for line := range strings.Lines(answer.out) {
		var e struct {
			Daemon string
			journal.Event
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Time.Before(last) {
			t.Errorf("not in the order of time: %s", line)
		}
		last = e.Time
		key := e.Daemon + " " + text(t, &e.Event)
		if want[key]--; want[key] < 0 {
			t.Errorf("told, and not written down: %s", line)
		} else if want[key] == 0 {
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("written down, and not told: %s", key)
	}
	t.Logf("node %s tells %d events, %d are written down", asked.name, strings.Count(answer.out, "\n"), written)
}

func text(t *testing.T, e *journal.Event) string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// reaches connects a node with the other ones, or cuts it off from them; clients go on to reach all.
func (c *fleetCrowd) reaches(t *testing.T, n *fleetNode, whole bool) {
	t.Helper()
	way := "add"
	if whole {
		way = "del"
	}
	for _, o := range slices.DeleteFunc(slices.Clone(c.nodes), func(o *fleetNode) bool { return o == n }) {
		n.ns.Run(t, "ip", "route", way, "blackhole", o.address+"/32")
	}
	if !whole {
		await(t, "the node says that the store is away", upLimit, func() bool {
			s, err := n.status(t)
			return err == nil && s.Store == "away"
		})
	}
}

// answer holds the output of a command and its exit code.
type answer struct {
	code        int
	out, errors string
}

// ask runs a command on a node's machine, which may fail.
func (c *fleetCrowd) ask(t *testing.T, n *fleetNode, args ...string) (a answer) {
	t.Helper()
	var out, errors bytes.Buffer
	n.ns.Do(t, func() error {
		cmd := exec.Command(program(t), args...)
		cmd.Args[0] = "moongate"
		cmd.Env = append(os.Environ(), "MOONGATE_FLEET="+n.dir)
		cmd.Stdout, cmd.Stderr = &out, &errors
		err := cmd.Run()
		if cmd.ProcessState == nil {
			return fmt.Errorf("%s: %w", args, err)
		}
		a.code = cmd.ProcessState.ExitCode()
		return nil
	})
	a.out, a.errors = out.String(), errors.String()
	return a
}
