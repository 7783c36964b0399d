package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/jet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// How often, and how long.
const (
	tellEvery  = 5 * time.Second  // to members that have not answered of late, and for the engine's upkeep
	tellAtRest = 30 * time.Second // to members that know what we know
	tellWithin = 3 * time.Second

	correctEvery = time.Minute // what others say of this node
	retryEngine  = 3 * time.Second
	upkeepMost   = 5 * time.Second
)

// Options come from a node's owner.
type Options struct {
	// Log takes the node's lines; nil drops them.
	Log logging.Func
	// Manage serves a connection of another node's commands as the management port serves a seat that may do everything, until the
	// connection or ctx ends. Nil refuses them.
	Manage func(ctx context.Context, conn net.Conn)
	// History calls take with each line of the daemon's history that a question asks for. Nil refuses them.
	History func(ctx context.Context, question []byte, take func(line []byte) error) error
	// Relay serves a connection that a node has opened to exchange packets, until it ends. Nil refuses them.
	Relay func(conn net.Conn, state *tls.ConnectionState, peer string)
	// Member is the node's part in what the fleet remembers, for its status; it may return nil. Nil is none.
	Member func() *fleet.Status
	// Begin is closed when the engine may begin, and write files as the user that the process is from then on; nil does not wait.
	Begin <-chan struct{}
}

// Node is a running node.
type Node struct {
	folder *pki.Node
	opts   Options
	log    logging.Func
	roster *roster
	tls    *tls.Config // for talk
	client *http.Client
	since  time.Time
	wake   chan struct{}
	stop   context.CancelFunc
	done   sync.WaitGroup
	seats  atomic.Int32
	asked  atomic.Int32   // questions about history that are being answered
	seated sync.WaitGroup // of seats
	store  *store

	mu   sync.Mutex
	told map[string]contact // by member
	cert certificate

	corrected time.Time // when this node last corrected what others say of it
	warned    time.Time // when its log last said that another has its name
}

// contact is the outcome of a talk with a member.
type contact struct {
	at   time.Time // of the last answer
	skew time.Duration
	err  error
	due  bool // there is news to tell
}

// Open starts the node of a folder. It fails for what an administrator has to mend: files, ports, a node that has left its fleet. The
// engine starts beside, and until it has, the store is away.
func Open(ctx context.Context, dir string, o Options) (*Node, error) {
	folder, err := pki.Load(dir)
	if err != nil {
		return nil, err
	}
	r, err := readRoster(folder.RosterFile())
	if err != nil {
		return nil, err
	}
	if m, _ := r.get(folder.Name); m.excludes(folder.ID) {
		return nil, fmt.Errorf("node %s has left its fleet: remove %s, and join again", folder.Name, dir)
	}
	if _, err := r.set(folder.Name, folder.Address, folder.ID, Active); err != nil {
		return nil, err
	}
	n := &Node{
		folder: folder, opts: o, log: o.Log.OrDiscard(), roster: r, since: time.Now(),
		wake: make(chan struct{}, 1), store: newStore(), told: make(map[string]contact),
	}
	if n.tls, err = folder.TLS(nil); err != nil {
		return nil, err
	}
	n.client = clientOf(n.tls)
	ln, err := net.Listen("tcp", folder.ListenTalk())
	if err != nil {
		return nil, fmt.Errorf("listen for the fleet's nodes: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	n.done.Go(func() { n.serve(run, ln) })
	n.done.Go(func() { n.tellAll(run) })
	n.done.Go(func() { n.runEngine(run) })
	return n, nil
}

// Close ends the node. The fleet goes on without it until it starts again.
func (n *Node) Close() {
	n.stop()
	n.done.Wait()
	n.client.CloseIdleConnections()
}

// Name is the node's.
func (n *Node) Name() string { return n.folder.Name }

// Folder returns the content of the node's folder.
func (n *Node) Folder() *pki.Node { return n.folder }

// Store returns the memory that the nodes share. It stays the same while engines come and go.
func (n *Node) Store() *Store { return (*Store)(n.store) }

// Members are the fleet's nodes as this one knows them, by name.
func (n *Node) Members() []Member { return n.roster.all() }

// Others are the names of the other nodes that are active.
func (n *Node) Others() []string {
	var names []string
	for _, m := range n.roster.all() {
		if m.Name != n.folder.Name && m.State == Active {
			names = append(names, m.Name)
		}
	}
	return names
}

// DialRelay opens a connection to exchange packets with a node.
func (n *Node) DialRelay(ctx context.Context, name string) (net.Conn, *tls.ConnectionState, error) {
	m, known := n.roster.get(name)
	if !known || m.State != Active {
		return nil, nil, fmt.Errorf("the fleet has no node %s", name)
	}
	return dial(ctx, n.tls, m, pathRelay)
}

// changed tells the goroutines that the roster is another one.
func (n *Node) changed() {
	n.mu.Lock()
	for name, c := range n.told {
		c.due = true
		n.told[name] = c
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// isOut reports whether this node's folder is out of the fleet: it has left, or another folder has its name.
func (n *Node) isOut() bool {
	m, _ := n.roster.get(n.folder.Name)
	return m.excludes(n.folder.ID)
}

// hasLeft reports whether a member has left.
func (n *Node) hasLeft(name string) bool {
	m, _ := n.roster.get(name)
	return m.State == Left
}

// plan is the engine that the roster asks for.
type plan struct {
	mode  string // the folder's name
	peers []string
	gone  []string // servers that the engine has to forget
}

// Modes of an engine.
const (
	modeNone    = ""
	modeAlone   = "alone"
	modeCluster = "cluster"
	modeOutside = "outside"
)

func (n *Node) plan() plan {
	p := plan{mode: modeAlone}
	for _, m := range n.roster.all() {
		switch {
		case m.Name == n.folder.Name && m.excludes(n.folder.ID):
			return plan{}
		case m.Name == n.folder.Name:
		case m.State == Active:
			p.mode, p.peers = modeCluster, append(p.peers, m.Address)
		}
		p.gone = append(p.gone, m.servers()...)
	}
	if n.folder.Engine != nil {
		p.mode = modeOutside
	}
	return p
}

// runEngine runs the engine that the roster asks for, and starts another one when it asks for another.
func (n *Node) runEngine(ctx context.Context) {
	var engine *jet.Engine
	mode := modeNone
	end := func() {
		n.store.use(nil, modeNone)
		if engine != nil {
			engine.Close()
			engine = nil
		}
		mode = modeNone
	}
	defer end()
	if n.opts.Begin != nil {
		select {
		case <-n.opts.Begin:
		case <-ctx.Done():
			return
		}
	}
	wake := n.store.wake
	for {
		p := n.plan()
		if engine != nil && !engine.Keeps() && n.mayStartAgain() {
			end()
		}
		if p.mode != mode || engine == nil && p.mode != modeNone {
			end()
			if p.mode != modeNone {
				var err error
				if engine, err = n.start(ctx, p); err != nil {
					engine = nil
					n.log(logging.At(1), "fleet: the engine does not start, and is tried again: %v", err)
				} else {
					mode = p.mode
					n.store.use(engine.Store(), mode)
				}
			} else {
				n.log(logging.At(1), "fleet: node %s has left its fleet", n.folder.Name)
			}
		}
		if engine != nil && mode == modeCluster {
			engine.Store().SetReplicas(jet.Replicas(len(p.peers) + 1))
			n.upkeep(ctx, engine, p.gone)
		}
		wait := tellEvery
		if engine == nil {
			wait = retryEngine
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-time.After(wait):
		}
	}
}

// mayStartAgain reports whether an engine that keeps nothing any more would find room for its files. Until then it stays, as the way to the others.
func (n *Node) mayStartAgain() bool {
	err := hasRoom(n.folder.EngineDir())
	if err == nil {
		n.log(logging.At(1), "fleet: the engine could not write its files, and is started again")
		return true
	}
	if n.store.limps(fmt.Errorf("the engine keeps nothing: %w", err)) {
		n.log(logging.Warn, "fleet: the engine keeps nothing at node %s until there is room again: %v", n.folder.Name, err)
	}
	return false
}

// roomLeast is how much an engine finds before it is started again, in bytes.
const roomLeast = 1 << 20

// hasRoom returns an error when a folder cannot take what an engine needs to start.
func hasRoom(dir string) error {
	f, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, roomLeast))
	return errors.Join(err, f.Sync(), f.Close())
}

func (n *Node) upkeep(ctx context.Context, e *jet.Engine, gone []string) {
	within, cancel := context.WithTimeout(ctx, upkeepMost)
	defer cancel()
	if err := e.Forget(within, gone); err != nil && ctx.Err() == nil {
		n.log(logging.At(4), "fleet: %v", err)
	}
}

// start starts an engine. An engine of the other kind leaves nothing behind: its store is not what the fleet knows now.
func (n *Node) start(ctx context.Context, p plan) (*jet.Engine, error) {
	f := n.folder
	if p.mode == modeOutside {
		return n.dialOutside(len(p.peers) + 1)
	}
	other := map[string]string{modeAlone: modeCluster, modeCluster: modeAlone}[p.mode]
	if err := os.RemoveAll(filepath.Join(f.EngineDir(), other)); err != nil {
		return nil, err
	}
	dir := filepath.Join(f.EngineDir(), p.mode)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := jet.Config{Name: pki.ServerName(f.Name, f.ID), Dir: dir, Log: n.opts.Log}
	if p.mode == modeCluster {
		t, err := f.TLS(func(name string) error {
			if n.hasLeft(name) {
				return fmt.Errorf("node %s has left the fleet", name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		c.Routes = &jet.Routes{Cluster: f.Fleet, Listen: f.ListenRoutes(), Advertise: f.Address, Peers: p.peers, TLS: t}
	}
	n.log(logging.At(3), "fleet: node %s starts its engine, with %d other nodes", f.Name, len(p.peers))
	return jet.Start(ctx, c)
}

func (n *Node) dialOutside(nodes int) (*jet.Engine, error) {
	e := n.folder.Engine
	o := jet.Outside{URL: e.URL, Credentials: e.Credentials, Bucket: "moongate-" + n.folder.Fleet, Replicas: min(jet.Replicas(nodes), 3), Name: n.folder.Name, Log: n.opts.Log}
	if e.CA != "" {
		pool, err := pki.Pool(e.CA)
		if err != nil {
			return nil, err
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return jet.Dial(o)
}
