//go:build soak && !nofleet

package jet

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The figures of docs/decisions/0086: what an engine weighs and says while nothing happens, and how long a write takes.
func TestSoakFigures(t *testing.T) {
	debug.FreeOSMemory()
	before := resident(t)
	e := alone(t, t.TempDir())
	time.Sleep(3 * time.Second)
	debug.FreeOSMemory()
	oneMB := resident(t) - before
	t.Logf("an engine alone: %.1f MB resident", oneMB)
	if oneMB > 25 {
		t.Error("more than 25 MB")
	}
	e.Close()

	c := newCluster(t)
	s := c.engines[(c.leader(t)+1)%3].Store()
	var took []time.Duration
	rev, err := s.Create(t.Context(), "figure", make([]byte, 200))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		begin := time.Now()
		if rev, err = s.Update(t.Context(), "figure", make([]byte, 200), rev); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("a synchronous write on three nodes: median %v, 99 %% %v", took[500], took[990])

	time.Sleep(5 * time.Second)
	const idle = 20 * time.Second
	in, out := routed(t, c)
	time.Sleep(idle)
	in2, out2 := routed(t, c)
	perSecond := float64(in2-in+out2-out) / 2 / idle.Seconds()
	t.Logf("three idle engines: %.1f messages a second between them", perSecond)
	if perSecond > 50 {
		t.Error("more than 50 messages a second")
	}
}

// routed is how many messages the engines have got from and sent to each other.
func routed(t *testing.T, c *cluster) (in, out int64) {
	t.Helper()
	for _, e := range c.engines {
		z, err := e.server.Routez(&server.RoutezOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range z.Routes {
			in += r.InMsgs
			out += r.OutMsgs
		}
	}
	return in, out
}

// resident is this process's resident memory in MB.
func resident(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("only Linux tells")
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}
