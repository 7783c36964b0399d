//go:build linux && soak

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A limit of the fleet changes on all nodes by one command, and holds for the next login. A pool does not: each node says that it wants a restart for it,
// and goes on with the pool that all have.
func TestSoakFleetReload(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "more.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const pool, other = "server 10.8.0.0 255.255.248.0\n", "server 10.9.0.0 255.255.248.0\n"
	write("fleet-limit 2\n" + pool)
	c := newFleetCrowd(t, "--config", conf)
	out := []string{"--pull-filter", "ignore", "ping-restart"} // one that is put out stays out
	for _, n := range c.nodes[:2] {
		c.join(t, joining{start: stock, n: 1, first: n, user: "joe", extra: out})
	}
	c.settled(t)

	write("fleet-limit 1\n" + other)
	answer := c.ask(t, c.nodes[2], "-a", "fleet", "reload", "--json")
	if answer.code != 0 || strings.Count(answer.out, `"fleet-limit"`) != 3 || strings.Count(answer.out, `"server"`) != 3 || strings.Count(answer.out, "restart") < 3 {
		t.Fatalf("exit code %d\n%s%s", answer.code, answer.out, answer.errors)
	}
	c.settled(t) // nobody is ended by it
	last := c.join(t, joining{start: stock, n: 1, first: c.nodes[2], user: "joe", extra: out})
	if !strings.HasPrefix(last[0].address, "10.8.") {
		t.Errorf("a newcomer has %s, and the pool is not another one before the nodes are restarted", last[0].address)
	}
	await(t, "the newcomer is the only client of the user", crowdLimit, func() bool {
		at := c.homes(t)
		return len(at) == 1 && at[last[0].name] != nil
	})
}
