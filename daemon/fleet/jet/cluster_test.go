//go:build !nofleet

package jet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// cluster is three engines whose routes can be cut.
//
//	engine k ── wire k→j ──► engine j, for each pair
type cluster struct {
	engines []*Engine
	configs []Config
	wires   map[[2]int]*wire
}

// routesTLS is the configuration of routes, one certificate for all servers.
func routesTLS(t *testing.T) *tls.Config {
	t.Helper()
	folder, err := pki.Init(filepath.Join(t.TempDir(), "fleet"), pki.Plan{Name: "x", Address: "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conf, err := folder.TLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// newCluster starts three engines and waits for their store.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterIn(t, []string{t.TempDir(), t.TempDir(), t.TempDir()})
}

// newClusterIn is newCluster with the engines' folders.
func newClusterIn(t *testing.T, dirs []string) *cluster {
	t.Helper()
	conf := routesTLS(t)
	const nodes = 3
	c := &cluster{wires: make(map[[2]int]*wire)}
	var listen []string
	for range nodes {
		listen = append(listen, daemontest.FreeAddress(t, 1))
	}
	for k := range nodes {
		for j := range nodes {
			if k != j {
				c.wires[[2]int{k, j}] = newWire(t, listen[j])
			}
		}
	}
	for k := range nodes {
		r := &Routes{Cluster: "x", Listen: listen[k], Advertise: daemontest.FreeAddress(t, 1), TLS: conf} // gossip leads nowhere: no way round a wire
		for j := range nodes {
			if k != j {
				r.Peers = append(r.Peers, c.wires[[2]int{k, j}].addr())
			}
		}
		c.configs = append(c.configs, Config{Name: fmt.Sprint("n", k), Dir: dirs[k], Routes: r, Log: daemontest.LogTo(t, 6)})
		c.engines = append(c.engines, nil)
		c.start(t, k)
	}
	for k, e := range c.engines {
		eventually(t, fmt.Sprint("store at node ", k), func() error {
			n, err := e.Store().Replicas(within(t, 2*time.Second))
			if err == nil && n != nodes-1 {
				err = fmt.Errorf("%d other replicas", n)
			}
			return err
		})
	}
	return c
}

// start starts the engine of a node, again after it was closed.
func (c *cluster) start(t *testing.T, k int) {
	t.Helper()
	e, err := Start(t.Context(), c.configs[k])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	c.engines[k] = e
}

// leader is the node that leads the store.
func (c *cluster) leader(t *testing.T) int {
	t.Helper()
	name, err := c.engines[0].Store().Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(name[1:])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sides are the node that leads the store, for a cut, its store, and the store of another.
func (c *cluster) sides(t *testing.T) (lead int, far, near *Store) {
	t.Helper()
	lead = c.leader(t)
	return lead, c.engines[lead].Store(), c.engines[(lead+1)%len(c.engines)].Store()
}

// cut lets nothing pass between a node and the others, and says nothing to either: what is sent waits.
func (c *cluster) cut(node int, off bool) {
	for pair, w := range c.wires {
		if pair[0] == node || pair[1] == node {
			w.gate.set(off)
		}
	}
}

// wire passes connections on.
type wire struct {
	ln   net.Listener
	gate gate
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln, gate: gate{open: make(chan struct{})}}
	close(w.gate.open)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.pass(ctx, in, to) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		all.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.ln.Addr().String() }

func (w *wire) pass(ctx context.Context, in net.Conn, to string) {
	defer in.Close()
	if !w.gate.wait(ctx) {
		return
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { in.Close(); out.Close() })()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			defer way[1].Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := way[0].Read(buf)
				if err != nil || !w.gate.wait(ctx) {
					return
				}
				if _, err := way[1].Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
	both.Wait()
}

// gate is open while its channel is closed.
type gate struct {
	mu   sync.Mutex
	shut bool
	open chan struct{}
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if shut == g.shut {
		return
	}
	g.shut = shut
	if shut {
		g.open = make(chan struct{})
	} else {
		close(g.open)
	}
}

func (g *gate) wait(ctx context.Context) bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return true
	case <-ctx.Done():
		return false
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Three nodes keep the contract. Then their leader is cut off: it never tells what is old, the others go on, and nothing is lost or done
// twice.
func TestLeaderCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("elections and partitions, half a minute")
	}
	t.Parallel()
	c := newCluster(t)
	lead, far, near := c.sides(t)
	testStore(t, near)

	start, err := near.Create(t.Context(), "counter", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	changes := far.Watch(t.Context(), "counter2")
	begin := time.Now()
	c.cut(lead, true)

	// A write that cannot be answered may land, now or later.
	if _, err := far.Create(within(t, time.Second), "unknown", []byte("x")); !errors.Is(err, fleet.ErrUnknown) && !errors.Is(err, fleet.ErrAway) {
		t.Errorf("a write at a node that is cut off: %v", err)
	}
	// The others count on; whatever the one that is cut off says is not older than what they had when it was asked.
	var mu sync.Mutex
	written := 0
	over, counting := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	var recovered time.Duration
	writer.Go(func() {
		rev, n := start, 1
		for over.Err() == nil {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			next, err := near.Update(ctx, "counter", []byte(strconv.Itoa(n)), rev)
			cancel()
			if err != nil {
				if r, err := near.Get(within(t, time.Second), "counter"); err == nil { // it may have landed
					rev, n = r.Revision, atoi(r.Value)+1
				}
				continue
			}
			if recovered == 0 && time.Since(begin) > 2*time.Second {
				recovered = time.Since(begin)
			}
			mu.Lock()
			written = n
			mu.Unlock()
			rev, n = next, n+1
			time.Sleep(10 * time.Millisecond)
		}
	})
	away := 0
	for time.Since(begin) < 25*time.Second && (away < 20 || recoveredYet(&mu, &written) == 0) {
		mu.Lock()
		before := written
		mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		r, err := far.Get(ctx, "counter")
		_, headErr := far.Head(ctx)
		_, listErr := far.List(ctx, "")
		cancel()
		switch {
		case err == nil && atoi(r.Value) < before:
			t.Fatalf("%v after the cut the lone node says %s, and the others had written %d", time.Since(begin), r.Value, before)
		case errors.Is(err, fleet.ErrAway):
			away++
			if time.Since(begin) > 4*time.Second && (!errors.Is(headErr, fleet.ErrAway) || !errors.Is(listErr, fleet.ErrAway)) {
				t.Errorf("head: %v; list: %v", headErr, listErr)
			}
		case err != nil:
			t.Errorf("get at the lone node: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	counting()
	writer.Wait()
	if written == 0 || away == 0 {
		t.Fatalf("the others wrote %d times, the lone node was away %d times", written, away)
	}
	t.Logf("a majority writes again %v after its leader was cut off", recovered.Round(100*time.Millisecond))
	if _, err := near.Create(t.Context(), "counter2.missed", nil); err != nil {
		t.Error(err)
	}

	c.cut(lead, false)
	// Acknowledgements that were held back reach it now and look new, until it hears of the other leader. Nothing that it reads after it
	// has written is old all the same.
	old := 0
	for n, end := 0, time.Now().Add(15*time.Second); ; n++ {
		if r, err := far.Get(within(t, time.Second), "counter"); err == nil && atoi(r.Value) < written {
			old++
		}
		_, err := far.Create(within(t, time.Second), fmt.Sprint("barrier", n), nil)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no write at the node that was cut off: %v", err)
		}
	}
	t.Logf("%d reads before its first write were old", old)
	eventually(t, "truth at the node that was cut off", func() error {
		r, err := far.Get(within(t, time.Second), "counter")
		if err == nil && atoi(r.Value) < written {
			t.Errorf("after a write it says %s, and %d is written", r.Value, written)
		}
		return err
	})
	// What it missed it may never hear of; what comes now it does.
	n := 0
	eventually(t, "a change at the node that was cut off", func() error {
		n++
		if _, err := near.Create(within(t, time.Second), fmt.Sprint("counter2.now", n), nil); err != nil {
			return err
		}
		for {
			select {
			case ch := <-changes:
				if ch.Key != "counter2.missed" {
					return nil
				}
			case <-time.After(500 * time.Millisecond):
				return errors.New("none")
			}
		}
	})
	// The write of unknown outcome is there at all nodes or at none.
	known := func(c *Store) (is bool) {
		eventually(t, "the write of unknown outcome", func() error {
			_, err := c.Get(within(t, 5*time.Second), "unknown")
			if is = err == nil; errors.Is(err, fleet.ErrNotFound) {
				return nil
			}
			return err
		})
		return is
	}
	if here, there := known(far), known(near); here != there {
		t.Errorf("the write of unknown outcome is there: %v here, %v there", here, there)
	}
}

func atoi(b []byte) int {
	n, _ := strconv.Atoi(string(b))
	return n
}

func recoveredYet(mu *sync.Mutex, n *int) int {
	mu.Lock()
	defer mu.Unlock()
	return *n
}

// A server that has a cluster and no others never gets a majority: that is why a node alone runs none.
func TestLoneServerOfACluster(t *testing.T) {
	t.Parallel()
	conf := routesTLS(t)
	e, err := Start(t.Context(), Config{Name: "a", Dir: t.TempDir(), Log: daemontest.LogTo(t, 6), Routes: &Routes{
		Cluster: "x", Listen: daemontest.FreeAddress(t, 1), Advertise: daemontest.FreeAddress(t, 1), Peers: []string{daemontest.FreeAddress(t, 1)}, TLS: conf,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.server.ClusterAddr() == nil {
		t.Error("the routes do not listen")
	}
	for range 5 {
		ctx := within(t, 300*time.Millisecond)
		if _, err := e.Store().Get(ctx, "a"); !errors.Is(err, fleet.ErrAway) {
			t.Errorf("get: %v", err)
		}
		if _, err := e.Store().Create(ctx, "a", nil); !errors.Is(err, fleet.ErrAway) && !errors.Is(err, fleet.ErrUnknown) {
			t.Errorf("create: %v", err)
		}
	}
}

// Strangers of this machine do not get in: the listener is on loopback, and wants a password that only this process has. A peer without a
// certificate of the fleet gets no route.
func TestStrangers(t *testing.T) {
	t.Parallel()
	e := alone(t, t.TempDir())
	host, _, err := net.SplitHostPort(e.server.Addr().String())
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("clients are taken at %v: %v", e.server.Addr(), err)
	}
	for _, opts := range [][]nats.Option{nil, {nats.UserInfo(userFleet, "x")}, {nats.UserInfo(userSystem, "")}} {
		if conn, err := nats.Connect(e.server.ClientURL(), append(opts, nats.MaxReconnects(0))...); err == nil {
			conn.Close()
			t.Error("a stranger gets in")
		}
	}
}

// A second engine cannot have the folder of the first one's routes, and says so in words.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conf := routesTLS(t)
	_, err = Start(t.Context(), Config{Name: "a", Dir: t.TempDir(), Log: daemontest.LogTo(t, 6), Routes: &Routes{
		Cluster: "x", Listen: ln.Addr().String(), Advertise: daemontest.FreeAddress(t, 1), Peers: []string{daemontest.FreeAddress(t, 1)}, TLS: conf,
	}})
	if err == nil {
		t.Error("two engines listen at one address")
	}
	t.Log(err)
}

// A mark of a deletion goes after its time, and takes nothing with it that came after it.
func TestMarksGo(t *testing.T) {
	t.Parallel()
	e := alone(t, t.TempDir())
	s := e.Store()
	s.marks = time.Second
	for _, key := range []string{"again", "gone"} {
		rev, err := s.Create(t.Context(), key, []byte("first"))
		if err == nil {
			err = s.Delete(t.Context(), key, rev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Create(t.Context(), "again", []byte("second")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the mark", func() error {
		if keys, _, err := s.keys(t.Context(), s.subject(">")); err != nil || len(keys) != 1 {
			return fmt.Errorf("keys %v: %w", keys, err)
		}
		return nil
	})
	if r, err := s.Get(t.Context(), "again"); err != nil || string(r.Value) != "second" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := s.Create(t.Context(), "gone", nil); err != nil {
		t.Errorf("create after the mark has gone: %v", err)
	}
}

// The engine's own connection may give orders to the server: without that no server is ever taken out of a cluster.
func TestOrders(t *testing.T) {
	t.Parallel()
	if reply, err := alone(t, t.TempDir()).system.Request("$SYS.REQ.SERVER.PING", nil, 15*time.Second); err != nil {
		t.Errorf("%v: %v", reply, err)
	}
}

// The server calls itself by the hash of its name.
func TestPeerID(t *testing.T) {
	t.Parallel()
	e := alone(t, t.TempDir())
	if got := e.server.Node(); got != peerID("a") {
		t.Errorf("%s, and not %s", peerID("a"), got)
	}
}

// A NATS server outside serves as well, and one that is not there is away.
func TestOutside(t *testing.T) {
	t.Parallel()
	e := alone(t, t.TempDir())
	out, err := Dial(Outside{URL: withUser(t, e), Bucket: "moongate-x", Name: "b", Log: daemontest.LogTo(t, 6)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	eventually(t, "a store outside", func() error { _, err := out.Store().Head(t.Context()); return err })
	testStore(t, out.Store())

	gone, err := Dial(Outside{URL: "nats://" + daemontest.FreeAddress(t, 1), Bucket: "moongate-x", Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	if _, err := gone.Store().Get(within(t, time.Second), "a"); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("get: %v", err)
	}
	if _, err := gone.Store().Create(within(t, time.Second), "a", nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("create: %v", err)
	}
}

// A cluster outside need allow the nodes no more than docs/fleet.md says.
func TestOutsideWithPermissions(t *testing.T) {
	t.Parallel()
	const bucket = "moongate-x"
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "node", Password: "secret", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$KV." + bucket + ".>", "$JS.API.STREAM.*.KV_" + bucket, "$JS.API.DIRECT.GET.KV_" + bucket}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>", "moongate.changes." + bucket + ".>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	out, err := Dial(Outside{URL: "nats://node:secret@" + srv.Addr().String(), Bucket: bucket, Name: "a", Log: daemontest.LogTo(t, 7)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	eventually(t, "a store outside", func() error { _, err := out.Store().Head(t.Context()); return err })
	testStore(t, out.Store())
}

// withUser is the address of an engine, with the password that a stranger does not have.
func withUser(t *testing.T, e *Engine) string {
	t.Helper()
	u := e.store.conn.Opts
	return "nats://" + u.User + ":" + u.Password + "@" + e.server.Addr().String()
}
