package fleet_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/fleettest"
)

// world is a fleet with its clients, in a bubble of fake time. Everything in it happens by a seed.
type world struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	cluster *fleettest.Cluster
	nodes   []*node
	devices []*device
	config  fleet.Config
	wg      sync.WaitGroup

	mu      sync.Mutex // guards the sessions of all nodes and where devices are
	history []string
	wrong   []string
	nextID  uint64
	refused int
	ended   map[uint64]bool // sessions that the fleet ended, perhaps before their login was over
	pool    string          // of nodes that start from now on, "" for test
	trusted bool            // no invariant is checked: it takes time
}

// node is a server.
type node struct {
	w      *world
	name   string
	skew   time.Duration
	dir    string
	handle *fleettest.Handle
	member *fleet.Member
	cancel context.CancelFunc
	done   chan error
	up     map[uint64]*tunnel
}

// tunnel is a session that a node serves; its device may be elsewhere by now.
type tunnel struct {
	at             *node
	id             uint64
	device         *device
	identity, mark string
	slot           int
}

// device is a client.
type device struct {
	identity, mark string
	serial         string
	token          bool
	unnamed        bool // its token is its identity
	at             *tunnel
	busy           bool
}

func newWorld(t *testing.T, seed uint64, nodes int, cfg fleet.Config) *world {
	w := &world{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 2)), cluster: fleettest.New(seed), config: cfg, ended: make(map[uint64]bool)}
	w.cluster.Trace = func(c fleet.Change) {
		if strings.HasPrefix(c.Key, "node.") {
			return
		}
		go func() { // the history has another lock
			w.mu.Lock()
			defer w.mu.Unlock()
			w.say("    %d %s %s", c.Revision, c.Key, c.Value)
		}()
	}
	for i := range nodes {
		n := &node{w: w, name: string(rune('a' + i)), dir: filepath.Join(t.TempDir(), "n"), handle: w.cluster.Handle()}
		n.skew = time.Duration(i-1) * 5 * time.Second
		w.nodes = append(w.nodes, n)
		n.start()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
			for _, line := range w.history[max(0, len(w.history)-400):] {
				t.Log(line)
			}
		}
	})
	return w
}

// say notes something in the history. The caller holds the lock.
func (w *world) say(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf("%8.3f ", time.Since(epoch).Seconds())+fmt.Sprintf(format, args...))
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of fake time

func (n *node) start() {
	cfg := n.w.config
	cfg.Node, cfg.Store, cfg.Folder, cfg.Host, cfg.Pool = n.name, n.handle, n.dir, n, cmp.Or(n.w.pool, "test")
	cfg.Log = func(format string, args ...any) {
		n.w.mu.Lock()
		defer n.w.mu.Unlock()
		n.w.say("%s: "+format, append([]any{n.name}, args...)...)
	}
	m, err := fleet.New(cfg)
	if err != nil {
		n.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.w.mu.Lock()
	n.member, n.cancel, n.done, n.up = m, cancel, make(chan error, 1), make(map[uint64]*tunnel)
	n.w.mu.Unlock()
	done := n.done
	n.w.wg.Go(func() { done <- m.Run(ctx) })
}

// kill ends a node as kill -9 does: what had not reached the disk is lost.
func (n *node) kill() {
	copied, _ := os.ReadFile(filepath.Join(n.dir, "copy.jsonl"))
	n.w.mu.Lock()
	n.w.say("%s is killed", n.name)
	for _, t := range n.up {
		if t.device.at == t {
			t.device.at = nil
		}
	}
	n.member, n.up = nil, nil
	n.w.mu.Unlock()
	n.cancel()
	<-n.done
	if err := os.WriteFile(filepath.Join(n.dir, "copy.jsonl"), copied, 0o600); err != nil {
		n.w.t.Error(err)
	}
}

// End implements fleet.Host.
func (n *node) End(id uint64, why fleet.Reason) {
	n.w.wg.Go(func() {
		n.w.mu.Lock()
		defer n.w.mu.Unlock()
		n.w.ended[id] = true
		if t := n.up[id]; t != nil {
			n.w.say("%s ends %d of %s: %s", n.name, id, t.device.identity, why)
			n.gone(t)
			n.member.End(id, false)
		}
	})
}

// gone takes a tunnel out. The caller holds the lock.
func (n *node) gone(t *tunnel) {
	delete(n.up, t.id)
	if t.device.at == t {
		t.device.at = nil
	}
}

// connect lets a device log in at a node.
func (w *world) connect(d *device, n *node) {
	w.mu.Lock()
	if d.busy || n.member == nil {
		w.mu.Unlock()
		return
	}
	d.busy = true
	d.at = nil // what it had is over for the device, but its node does not know yet
	w.nextID++
	t := &tunnel{at: n, id: w.nextID, device: d, identity: d.identity, mark: d.mark}
	m, up := n.member, n.up
	for _, old := range up { // a server ends what it has of a client first
		if old.device == d {
			w.say("%s ends %d of %s: it is here again", n.name, old.id, d.identity)
			n.gone(old)
			m.End(old.id, false)
		}
	}
	c := fleet.Client{
		ID: t.id, Identity: d.identity, Mark: d.mark, Serial: d.serial, User: "user " + d.identity, CommonName: d.identity, Account: d.identity, Since: time.Now().Add(n.skew), Returning: d.token,
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	began := time.Now()
	slot, ok := m.BeginNow(c)
	var err error
	if !ok {
		slot, err = m.Begin(ctx, c)
	}
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	d.busy = false
	if took > 4*time.Second {
		w.wrong = append(w.wrong, fmt.Sprintf("a login took %v", took))
	}
	if err != nil {
		w.refused++
		w.say("%s refuses %d of %s: %v", n.name, t.id, d.identity, err)
		return
	}
	if n.member != m {
		w.say("%s died while %s logged in", n.name, d.identity)
		return
	}
	if w.ended[t.id] {
		m.End(t.id, false)
		return
	}
	t.slot = slot
	up[t.id] = t
	d.at, d.token = t, true
	w.say("%s gives %d of %s/%s slot %d", n.name, t.id, d.identity, d.mark, slot)
	w.check()
	// A client that is silent is found out after 30 seconds.
	w.wg.Go(func() {
		for {
			time.Sleep(30 * time.Second)
			w.mu.Lock()
			if n.member != m || up[t.id] != t {
				w.mu.Unlock()
				return
			}
			if d.at != t {
				w.say("%s misses %d of %s", n.name, t.id, d.identity)
				n.gone(t)
				w.mu.Unlock()
				m.End(t.id, false)
				return
			}
			w.mu.Unlock()
		}
	})
}

// leave lets a device say goodbye.
func (w *world) leave(d *device) {
	w.mu.Lock()
	t := d.at
	if t == nil || d.busy {
		w.mu.Unlock()
		return
	}
	m := t.at.member
	w.say("%s: %d of %s says goodbye", t.at.name, t.id, d.identity)
	t.at.gone(t)
	d.renew()
	w.mu.Unlock()
	m.End(t.id, true)
}

// renew gives a device that starts again another token.
func (d *device) renew() {
	d.mark, d.token = d.mark[:2]+fmt.Sprint(time.Now().UnixMicro()%1e9), false
	if d.unnamed {
		d.identity = d.mark
	}
}

// check holds what must be so at all times. The caller holds the lock.
func (w *world) check() {
	if w.trusted {
		return
	}
	type use struct {
		identities map[string]struct{}
		live       []string
	}
	slots := make(map[int]*use)
	for _, n := range w.nodes {
		for _, t := range n.up {
			if t.slot < 0 {
				continue
			}
			u := slots[t.slot]
			if u == nil {
				u = &use{identities: make(map[string]struct{})}
				slots[t.slot] = u
			}
			u.identities[t.identity] = struct{}{}
			if t.device.at == t {
				u.live = append(u.live, fmt.Sprintf("%s/%s at %s", t.identity, t.mark, n.name))
			}
		}
	}
	for slot, u := range slots {
		if len(u.identities) > 1 {
			w.wrong = append(w.wrong, fmt.Sprintf("slot %d has %d identities", slot, len(u.identities)))
			w.say("WRONG: slot %d has %d identities", slot, len(u.identities))
		}
		if len(u.live) > 1 {
			slices.Sort(u.live)
			w.wrong = append(w.wrong, fmt.Sprintf("slot %d has live clients %s", slot, strings.Join(u.live, ", ")))
			w.say("WRONG: slot %d has live clients %s", slot, strings.Join(u.live, ", "))
		}
	}
}

// end ends all nodes.
func (w *world) end() {
	for _, n := range w.nodes {
		if n.member != nil {
			n.cancel()
			if err := <-n.done; err != nil {
				w.t.Errorf("seed %d: node %s: %v", w.seed, n.name, err)
			}
		}
		w.mu.Lock()
		n.member = nil
		w.mu.Unlock()
	}
	w.wg.Wait()
	if len(w.wrong) > 0 {
		w.t.Errorf("seed %d: %s", w.seed, strings.Join(w.wrong[:min(5, len(w.wrong))], "\n"))
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// heal brings everything back and waits until the nodes agree.
func (w *world) heal() {
	for _, n := range w.nodes {
		n.handle.Cut(false)
		n.handle.Still(false)
		if n.member == nil {
			n.start()
		}
	}
	w.cluster.Faults.Store(false)
	w.pass(2 * time.Minute)
}

// agree compares the store with what the nodes know, after healing.
func (w *world) agree() {
	w.mu.Lock()
	defer w.mu.Unlock()
	type lease struct {
		fleet.Holder
		slot int
	}
	held := make(map[string]lease) // by session
	for slot, l := range fleet.LeasesOf(w.cluster.Records(), w.config.PageSize) {
		if !l.Free && w.runs(l.Holder) {
			held[l.Session] = lease{l.Holder, slot}
		}
	}
	of := make(map[string]int)
	for _, n := range w.nodes {
		for _, t := range n.up {
			of[t.identity]++
			found := -1
			for s, h := range held {
				if h.Node == n.name && h.Identity == t.identity && h.Mark == t.mark && h.slot == t.slot {
					found = h.slot
					delete(held, s)
				}
			}
			if found != t.slot {
				w.t.Errorf("seed %d: node %s serves %d at slot %d, the store does not say so", w.seed, n.name, t.id, t.slot)
			}
		}
	}
	for identity, n := range of {
		if n > 1 && w.config.Limit.Single {
			w.t.Errorf("seed %d: %s has %d sessions", w.seed, identity, n)
		}
	}
	for s, h := range held {
		w.t.Errorf("seed %d: the store has slot %d for session %s, which no node serves", w.seed, h.slot, s)
	}
}

// runs reports whether a holder's node still runs in the same epoch.
func (w *world) runs(h fleet.Holder) bool {
	for _, r := range w.cluster.Records() {
		if r.Key == fleet.Key("node", h.Node) {
			n, _ := decode[fleet.Node](w.t, r)
			return n.Epoch == h.Epoch
		}
	}
	return false
}

// play lets random things happen for a time.
func (w *world) play(d time.Duration) {
	w.cluster.Faults.Store(true)
	for until := time.Now().Add(d); time.Now().Before(until); {
		w.pass(time.Duration(w.rnd.Int64N(int64(1500 * time.Millisecond))))
		dev := w.devices[w.rnd.IntN(len(w.devices))]
		n := w.nodes[w.rnd.IntN(len(w.nodes))]
		switch w.rnd.IntN(20) {
		case 0:
			w.mu.Lock()
			w.say("%s is cut off", n.name)
			w.mu.Unlock()
			n.handle.Cut(true)
		case 1, 2:
			w.mu.Lock()
			w.say("%s is back", n.name)
			w.mu.Unlock()
			n.handle.Cut(false)
		case 3:
			n.handle.Still(w.rnd.IntN(2) == 0)
		case 4:
			if n.member != nil {
				n.kill()
			}
		case 5, 6, 7:
			if n.member == nil {
				n.start()
			}
		case 8, 9:
			w.leave(dev)
		case 10:
			w.mu.Lock()
			if !dev.busy {
				dev.at = nil // it is switched off
				dev.renew()
			}
			w.mu.Unlock()
		case 12:
			for range 5 { // newcomers at one node, one after the other
				dev := w.devices[w.rnd.IntN(len(w.devices))]
				w.mu.Lock()
				if !dev.busy {
					dev.at = nil
					dev.renew()
				}
				w.mu.Unlock()
				w.wg.Go(func() { w.connect(dev, n) })
				w.pass(time.Duration(w.rnd.Int64N(int64(200 * time.Millisecond))))
			}
		case 11:
			for range 5 { // at once
				dev, n := w.devices[w.rnd.IntN(len(w.devices))], w.nodes[w.rnd.IntN(len(w.nodes))]
				w.wg.Go(func() { w.connect(dev, n) })
			}
		default:
			w.wg.Go(func() { w.connect(dev, n) })
		}
		w.mu.Lock()
		w.check()
		w.mu.Unlock()
	}
}
