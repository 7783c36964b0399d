package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// conn is a connection with another node.
type conn struct {
	r     *Relay
	nc    net.Conn
	in    *bufio.Reader
	node  *Node
	since time.Time

	mu    sync.Mutex // guards dirty; taken after the relay's
	dirty map[netip.Prefix]struct{}
	poke  chan struct{}
	told  map[netip.Prefix]struct{} // what the other has heard; the writer's
}

// hello is the first line of either side.
type hello struct {
	ID   uint32 `json:"id"`   // of packets to the sender of this line
	Port uint16 `json:"port"` // for them
}

// line is any other line.
type line struct {
	Here []here         `json:"here,omitempty"`
	Gone []netip.Prefix `json:"gone,omitempty"`
}

type here struct {
	Prefix netip.Prefix `json:"p"`
	Age    int64        `json:"age,omitempty"` // milliseconds since the client came: clocks may differ
}

const noID = data.NoPeerID

// greet exchanges the first lines and makes the data channels.
func (r *Relay) greet(nc net.Conn, state *tls.ConnectionState, name string, dialed bool) (*conn, error) {
	c := &conn{
		r: r, nc: nc, in: bufio.NewReaderSize(nc, lineMost), since: time.Now(), dirty: make(map[netip.Prefix]struct{}), poke: make(chan struct{}, 1),
		told: make(map[netip.Prefix]struct{}),
	}
	mine := hello{ID: r.id(), Port: r.link.LocalAddr().Port()}
	node, err := c.meet(mine, state, name, dialed)
	if err != nil {
		r.mu.Lock()
		delete(r.ids, mine.ID)
		r.mu.Unlock()
		return nil, err
	}
	c.node = node
	return c, nil
}

func (c *conn) meet(mine hello, state *tls.ConnectionState, name string, dialed bool) (*Node, error) {
	if err := c.nc.SetDeadline(time.Now().Add(helloWithin)); err != nil {
		return nil, err
	}
	if err := c.write(mine); err != nil {
		return nil, err
	}
	var theirs hello
	if err := c.read(&theirs); err != nil {
		return nil, err
	}
	if theirs.ID >= noID || theirs.Port == 0 {
		return nil, fmt.Errorf("a greeting with id %d and port %d", theirs.ID, theirs.Port)
	}
	remote, err := netip.ParseAddrPort(c.nc.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	secret, err := state.ExportKeyingMaterial(secretLabel, nil, secretLength)
	if err != nil {
		return nil, err
	}
	n := &Node{Name: name, ID: mine.ID, Peer: transport.Peer{Addr: netip.AddrPortFrom(remote.Addr().Unmap(), theirs.Port)}}
	if n.Out, err = channel(secret, dialed, theirs.ID, remote.Addr().Unmap().Is6()); err == nil {
		n.In, err = channel(secret, dialed, mine.ID, remote.Addr().Unmap().Is6())
	}
	return n, err
}

// outerMTU bounds a packet between nodes, so that TCP through a relay is not cut into fragments.
const outerMTU = 1500

// channel makes a data channel of a connection's secret. The keys of the two directions differ.
func channel(secret []byte, dialed bool, id uint32, v6 bool) (*data.Channel, error) {
	p := data.Params{Role: keys.Server, Cipher: "AES-256-GCM", V2: true, Epoch: true, PeerID: id, ReplayWindow: 1024, ReplayTime: 15 * time.Second}
	if dialed {
		p.Role = keys.Client
	}
	var err error
	if p.MSSLimit, err = data.MSSLimitOf(p, data.Limit{Bytes: outerMTU, Mode: data.LimitMTU}, data.Outer{IPv6: v6}); err != nil {
		return nil, err
	}
	block, err := keys.NewBlock(secret)
	if err != nil {
		return nil, err
	}
	ch, err := data.New(p)
	if err != nil {
		return nil, err
	}
	return ch, ch.SetKey(0, block, time.Now())
}

// serve exchanges news until the connection ends.
func (c *conn) serve() {
	ctx, cancel := context.WithCancel(c.r.ctx)
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	var writer sync.WaitGroup
	c.r.ways.up(c.node)
	before := c.r.enter(c)
	writer.Go(func() {
		defer cancel()
		c.tell(ctx)
	})
	c.r.cfg.Log(logging.Steps, "fleet: relay with node %s begins", c.node.Name)
	err := c.listen(before)
	cancel()
	stop()
	c.nc.Close()
	writer.Wait()
	c.r.leave(c)
	c.r.ways.down(c.node)
	c.r.cfg.Log(logging.Steps, "fleet: relay with node %s has ended: %v", c.node.Name, err)
}

// listen takes in what the other node tells.
func (c *conn) listen(before *conn) error {
	for {
		if err := c.nc.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		var l line
		if err := c.read(&l); err != nil {
			return err
		}
		if err := c.r.ways.take(c.node, l); err != nil {
			return err
		}
		if before != nil && len(l.Here) == 0 {
			before.nc.Close() // this one has taken its place
			before = nil
		}
	}
}

// tell tells the other node what has changed, and that this one is alive.
func (c *conn) tell(ctx context.Context) {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		l, more := c.news()
		if err := c.nc.SetWriteDeadline(time.Now().Add(silence)); err != nil {
			return
		}
		if err := c.write(l); err != nil {
			c.nc.Close() // wakes the reader
			return
		}
		if more {
			continue
		}
		select {
		case <-c.poke:
		case <-alive.C:
		case <-ctx.Done():
			return
		}
	}
}

// note marks a prefix about which there may be news.
func (c *conn) note(p netip.Prefix) {
	c.mu.Lock()
	c.dirty[p] = struct{}{}
	c.mu.Unlock()
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// news is the next line, and whether another one should follow.
func (c *conn) news() (l line, more bool) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.dirty {
		if len(l.Here)+len(l.Gone) == waysPerLine {
			return l, true
		}
		delete(c.dirty, p)
		since, is := c.r.own[p]
		if _, knows := c.told[p]; is {
			c.told[p] = struct{}{}
			l.Here = append(l.Here, here{p, time.Since(since).Milliseconds()})
		} else if knows {
			delete(c.told, p)
			l.Gone = append(l.Gone, p)
		}
	}
	return l, len(l.Here)+len(l.Gone) > 0 // an empty line says that this is all
}

func (c *conn) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.nc.Write(append(b, '\n'))
	return err
}

func (c *conn) read(v any) error {
	b, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("a line of more than %d bytes", lineMost)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
