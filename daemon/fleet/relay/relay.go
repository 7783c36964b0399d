package relay

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// Config configures a [Relay].
type Config struct {
	// Name is this node's.
	Name string
	// Listen is where packets come in, an invalid address for all.
	Listen netip.AddrPort
	// Others are the names of the other nodes that are active.
	Others func() []string
	// Dial opens a connection to a node whose name it has checked.
	Dial func(ctx context.Context, name string) (net.Conn, *tls.ConnectionState, error)
	Host Host
	Log  logging.Func
}

// Relay is a node's part. It is safe for concurrent use.
type Relay struct {
	cfg  Config
	link transport.Link
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex // guards what follows; never held over a call of the host
	closed  bool
	own     map[netip.Prefix]time.Time
	conns   map[string]*conn // the newest of each node
	dialing map[string]bool
	ids     map[uint32]bool

	ways ways
}

// Open begins to listen and to look for the other nodes.
func Open(cfg Config) (*Relay, error) {
	cfg.Log = cfg.Log.OrDiscard()
	link, err := listen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	r := &Relay{
		cfg: cfg, link: link, own: make(map[netip.Prefix]time.Time), conns: make(map[string]*conn), dialing: make(map[string]bool), ids: make(map[uint32]bool),
		ways: newWays(cfg.Host),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.wg.Go(r.look)
	return r, nil
}

// listen opens one socket for both families where the system has both.
func listen(at netip.AddrPort) (transport.Link, error) {
	if at.Addr().IsValid() {
		return transport.ListenUDP(transport.ListenConfig{Local: at})
	}
	at = netip.AddrPortFrom(netip.Addr{}, at.Port())
	link, err := transport.ListenUDP(transport.ListenConfig{Local: at, Family: transport.FamilyIPv6})
	if err != nil {
		link, err = transport.ListenUDP(transport.ListenConfig{Local: at, Family: transport.FamilyIPv4})
	}
	return link, err
}

// Link is where the packets of other nodes come in; the host receives. It is closed with the relay.
func (r *Relay) Link() transport.Link { return r.link }

// Here tells the other nodes that a prefix leads to a client of this node, Gone that it does not any more. They return at once.
func (r *Relay) Here(p netip.Prefix) { r.tell(p.Masked(), true) }

// Gone tells that a prefix leads here no more.
func (r *Relay) Gone(p netip.Prefix) { r.tell(p.Masked(), false) }

func (r *Relay) tell(p netip.Prefix, here bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if here {
		r.own[p] = time.Now()
	} else {
		delete(r.own, p)
	}
	for _, c := range r.conns {
		c.note(p)
	}
}

// Close ends all connections and waits for them.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	_ = r.link.Close()
	r.wg.Wait()
}

// look opens the connections that are this node's to open.
func (r *Relay) look() {
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	for {
		for _, name := range r.cfg.Others() {
			if r.cfg.Name < name && r.mayDial(name) {
				r.wg.Go(func() {
					defer r.dialed(name)
					r.dial(name)
				})
			}
		}
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// mayDial reports whether a node lacks a connection, or has an old one, and nobody is about to open one.
func (r *Relay) mayDial(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.conns[name]; r.closed || r.dialing[name] || c != nil && time.Since(c.since) < renewAfter {
		return false
	}
	r.dialing[name] = true
	return true
}

func (r *Relay) dialed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.dialing, name)
}

// dial opens a connection and hands it on.
func (r *Relay) dial(name string) {
	ctx, cancel := context.WithTimeout(r.ctx, helloWithin)
	defer cancel()
	nc, state, err := r.cfg.Dial(ctx, name)
	if err != nil {
		r.cfg.Log(logging.Detail, "fleet: relay to node %s: %v", name, err)
		return
	}
	c, err := r.greet(nc, state, name, true)
	if err != nil {
		nc.Close()
		r.cfg.Log(logging.Detail, "fleet: relay to node %s: %v", name, err)
		return
	}
	r.wg.Go(func() { c.serve() })
}

// Accept serves a connection that another node has opened, whose name the caller has checked, until it ends.
func (r *Relay) Accept(nc net.Conn, state *tls.ConnectionState, name string) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.wg.Add(1)
	r.mu.Unlock()
	defer r.wg.Done()
	c, err := r.greet(nc, state, name, false)
	if err != nil {
		r.cfg.Log(logging.Detail, "fleet: relay from node %s: %v", name, err)
		return
	}
	c.serve()
}

// id draws a peer-id that is not in use.
func (r *Relay) id() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var b [4]byte
		rand.Read(b[1:])
		if id := binary.BigEndian.Uint32(b[:]); id != noID && !r.ids[id] {
			r.ids[id] = true
			return id
		}
	}
}

// enter makes a connection the newest of its node, which is the one that has all news from now on. The one before goes on for a
// moment.
func (r *Relay) enter(c *conn) (before *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.conns[c.node.Name]
	r.conns[c.node.Name] = c
	for p := range r.own {
		c.note(p)
	}
	return before
}

func (r *Relay) leave(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ids, c.node.ID)
	if r.conns[c.node.Name] == c {
		delete(r.conns, c.node.Name)
	}
}
