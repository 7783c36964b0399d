//go:build soak && !nofleet

package jet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet"
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

// The processor time that the login of a client costs a lone node, 64 at a time, with its records on the disk.
func TestSoakLoginCost(t *testing.T) {
	const clients = 4000
	for _, tt := range []struct {
		limit fleet.Limit
		most  time.Duration
	}{{fleet.Limit{Single: true}, 100 * time.Microsecond}, {fleet.Limit{Max: 1}, 500 * time.Microsecond}} {
		e := alone(t, t.TempDir())
		ctx, stop := context.WithCancel(t.Context())
		m, err := fleet.New(fleet.Config{
			Node: "a", Store: e.Store(), Folder: t.TempDir(), Slots: 65000, Pool: "test", Limit: tt.limit, Alone: true, Host: nobody{},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		eventually(t, "the node", func() error {
			if !m.Ready() {
				return errors.New("not in")
			}
			return nil
		})
		for turn, who := range []string{"newcomers", "clients that come back while their sessions last", "clients that come back after a goodbye"} {
			if turn == 2 {
				for n := range clients {
					m.End(uint64(clients+n), true)
				}
				time.Sleep(2 * time.Second)
			}
			before, began := daemontest.ProcessorTime(t), time.Now()
			var logins errgroup.Group
			logins.SetLimit(64)
			for n := range clients {
				logins.Go(func() error {
					name, id := fmt.Sprint("user ", n), uint64(turn*clients+n)
					c := fleet.Client{ID: id, Identity: name, Mark: fmt.Sprintf("%064x", n), User: name, Account: name, CommonName: name, Since: time.Now()}
					if turn == 1 {
						m.End(id-clients, false) // as a server does with what it has of a name
					}
					if _, ok := m.BeginNow(c); ok {
						return nil
					}
					_, err := m.Begin(ctx, c)
					return err
				})
			}
			if err := logins.Wait(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			time.Sleep(2 * time.Second) // for the store and the copy on disk
			each := (daemontest.ProcessorTime(t) - before) / clients
			t.Logf("limit %+v, %s: %v of processor time a login, %.0f a second", tt.limit, who, each, clients/took.Seconds())
			if each > tt.most {
				t.Errorf("more than %v", tt.most)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		e.Close()
	}
}

// nobody is a server whose clients are never ended.
type nobody struct{}

func (nobody) End(uint64, fleet.Reason) {}

// Three nodes with 10,000 sessions say little to each other while nothing happens.
func TestSoakIdleTraffic(t *testing.T) {
	const sessions = 10000
	c := newCluster(t)
	debug.FreeOSMemory()
	before := resident(t)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	var members []*fleet.Member
	for k, e := range c.engines {
		m, err := fleet.New(fleet.Config{
			Node: fmt.Sprint("n", k), Store: e.Store(), Slots: 2 * sessions, Pool: "test", Limit: fleet.Limit{Single: true}, Alone: true, Host: nobody{},
		})
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
		all.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for k, m := range members {
		eventually(t, fmt.Sprint("node ", k), func() error {
			if !m.Ready() {
				return errors.New("not in")
			}
			return nil
		})
	}
	begun := time.Now()
	var logins errgroup.Group
	logins.SetLimit(24)
	for n := range sessions {
		logins.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			name := fmt.Sprint("user ", n)
			_, err := members[n%len(members)].Begin(ctx, fleet.Client{ID: uint64(n), Identity: name, Mark: "m", User: name, CommonName: name, Since: time.Now()})
			return err
		})
	}
	if err := logins.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d logins took %v", sessions, time.Since(begun).Round(time.Second))
	daemontest.Eventually(t, 5*time.Minute, "rest", func() error {
		in, out := routed(t, c)
		time.Sleep(5 * time.Second)
		for _, m := range members {
			if n := m.Status().Leases; n != sessions {
				return fmt.Errorf("a node knows %d leases", n)
			}
		}
		if in2, out2 := routed(t, c); in2-in+out2-out > 5*200*2 {
			return errors.New("records are still being written")
		}
		return nil
	})
	const idle = time.Minute
	in, out := routed(t, c)
	time.Sleep(idle)
	in2, out2 := routed(t, c)
	perSecond := float64(in2-in+out2-out) / 2 / idle.Seconds()
	debug.FreeOSMemory()
	t.Logf("%.1f messages a second between three nodes with %d sessions; %.1f MB resident more for each of the three", perSecond, sessions, (resident(t)-before)/3)
	if perSecond >= 50 {
		t.Error("50 messages a second or more")
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
