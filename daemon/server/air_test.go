package server

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/transport"
)

// air is a network of datagrams in memory: a server's link, and the conns of its clients. A test in fake time needs one, because
// a goroutine that waits for a socket stops the clock.
type air struct {
	in chan datagram // for the server

	mu      sync.Mutex // guards all below
	clients map[netip.AddrPort]*airConn
	port    uint16
}

var airServer = netip.MustParseAddrPort("192.0.2.1:1194")

type datagram struct {
	from netip.AddrPort
	b    []byte
}

func newAir() *air {
	return &air{in: make(chan datagram, 256), clients: make(map[netip.AddrPort]*airConn), port: 4000}
}

// airLink is the server's end. A restarted server has another one.
type airLink struct {
	*air
	closed chan struct{}
	once   sync.Once
	stats  transport.Stats
}

func (a *air) listen() *airLink { return &airLink{air: a, closed: make(chan struct{})} }

// Recv implements transport.Link.
func (a *airLink) Recv(b *transport.Batch) error {
	select {
	case d := <-a.in:
		b.Peer = transport.Peer{Addr: d.from}
		pkt := append(make([]byte, transport.Headroom), d.b...)
		b.Packets = append(b.Packets[:0], pkt[transport.Headroom:])
		return nil
	case <-a.closed:
		return net.ErrClosed
	}
}

// Send implements transport.Link.
func (a *airLink) Send(p transport.Peer, pkts [][]byte) error {
	a.mu.Lock()
	c := a.clients[p.Addr]
	a.mu.Unlock()
	for _, pkt := range pkts {
		if c != nil {
			select {
			case c.in <- slices.Clone(pkt):
			default: // a full buffer loses datagrams
			}
		}
	}
	return nil
}

func (a *airLink) LocalAddr() netip.AddrPort       { return airServer }
func (a *airLink) RemoteAddr() netip.AddrPort      { return netip.AddrPort{} }
func (a *airLink) Proto() string                   { return "UDPv4" }
func (a *airLink) Stats() *transport.Stats         { return &a.stats }
func (a *airLink) SetReadDeadline(time.Time) error { return nil }

func (a *airLink) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}

// dial makes a client's connection, from a host or any.
func (a *air) dial(host string) net.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.port++
	c := &airConn{air: a, local: netip.AddrPortFrom(netip.MustParseAddr(cmp.Or(host, "192.0.2.2")), a.port), in: make(chan []byte, 256), closed: make(chan struct{})}
	a.clients[c.local] = c
	return c
}

// airConn is a client's end.
type airConn struct {
	air    *air
	local  netip.AddrPort
	in     chan []byte
	closed chan struct{}
	once   sync.Once
	limit  time.Time // of Read; the reader's
}

func (c *airConn) Read(b []byte) (int, error) {
	var over <-chan time.Time
	if !c.limit.IsZero() {
		timer := time.NewTimer(time.Until(c.limit))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case pkt := <-c.in:
		return copy(b, pkt), nil
	case <-over:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *airConn) Write(b []byte) (int, error) {
	select {
	case c.air.in <- datagram{c.local, slices.Clone(b)}:
	default:
	}
	return len(b), nil
}

func (c *airConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.air.mu.Lock()
		defer c.air.mu.Unlock()
		delete(c.air.clients, c.local)
	})
	return nil
}

func (c *airConn) LocalAddr() net.Addr                { return net.UDPAddrFromAddrPort(c.local) }
func (c *airConn) RemoteAddr() net.Addr               { return net.UDPAddrFromAddrPort(airServer) }
func (c *airConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *airConn) SetReadDeadline(t time.Time) error  { c.limit = t; return nil }
func (c *airConn) SetWriteDeadline(t time.Time) error { return nil }
