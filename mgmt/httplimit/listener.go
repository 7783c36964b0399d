package httplimit

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// listener has a bounded number of connections at a time. One more ends the oldest of those that have no answer under way, of the network
// that has most of them: peers that are silent or slow keep nobody out. When all are being answered, one more waits or is closed at once.
type listener struct {
	net.Listener
	most int
	wait bool

	mu     sync.Mutex // guards all below and the fields of peers
	freed  *sync.Cond // an answer or a connection has ended, or the listener has
	peers  []*peer    // the oldest first
	closed bool
}

func newListener(ln net.Listener, most int, wait bool) *listener {
	l := &listener{Listener: ln, most: most, wait: wait}
	l.freed = sync.NewCond(&l.mu)
	return l
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if p := l.enter(conn); p != nil {
			return p, nil
		}
		_ = conn.Close()
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.freed.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// enter takes a connection in, nil if there is no room.
func (l *listener) enter(conn net.Conn) *peer {
	from, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	p := &peer{Conn: conn, from: Network(from.Addr()), at: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.peers) >= l.most {
		if old := l.crowd(); old != nil {
			l.remove(old)
			_ = old.Conn.Close()
			continue
		}
		if !l.wait || l.closed {
			return nil
		}
		l.freed.Wait()
	}
	l.peers = append(l.peers, p)
	return p
}

// crowd is the oldest connection without an answer under way of the network that has most of those, nil if all have one. The lock is held.
func (l *listener) crowd() *peer {
	count := make(map[netip.Prefix]int)
	for _, p := range l.peers {
		if !p.answering {
			count[p.from]++
		}
	}
	var worst *peer
	for _, p := range l.peers {
		if !p.answering && (worst == nil || count[p.from] > count[worst.from]) {
			worst = p
		}
	}
	return worst
}

// remove takes a connection out, if it is still in. The lock is held.
func (l *listener) remove(p *peer) {
	if i := slices.Index(l.peers, p); i >= 0 {
		l.peers = slices.Delete(l.peers, i, i+1)
		l.freed.Broadcast()
	}
}

// Network is the network that a peer's address counts with: an IPv4 address, the first half of an IPv6 address; the zero prefix for no address, as of a
// unix socket.
func Network(a netip.Addr) netip.Prefix {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// peer is a connection of a listener.
type peer struct {
	net.Conn
	from      netip.Prefix
	at        *listener
	answering bool // a request was read whole, and its answer is not written yet
}

// Close implements net.Conn.
func (p *peer) Close() error {
	p.at.mu.Lock()
	p.at.remove(p)
	p.at.mu.Unlock()
	return p.Conn.Close()
}

// set notes whether an answer is under way. Nil is a connection without a limit.
func (p *peer) set(answering bool) {
	if p == nil {
		return
	}
	p.at.mu.Lock()
	defer p.at.mu.Unlock()
	p.answering = answering
	p.at.freed.Broadcast()
}

// peerOf is the peer behind a connection, nil for others.
func peerOf(conn net.Conn) *peer {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	p, _ := conn.(*peer)
	return p
}

// written notes the end of an answer: the server calls a connection idle when all of it is on its way, which a handler does not see.
func written(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		peerOf(conn).set(false)
	}
}

type peerKey struct{}

// withPeer remembers the connection of requests.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(conn))
}

// counted tells the listener of requests that were read whole, their bodies included.
func counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(peerKey{}).(*peer)
		if r.Body == http.NoBody {
			p.set(true)
		} else {
			r.Body = body{r.Body, p}
		}
		h.ServeHTTP(w, r)
	})
}

// body notices the end of a request.
type body struct {
	io.ReadCloser
	p *peer
}

func (b body) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if errors.Is(err, io.EOF) {
		b.p.set(true)
	}
	return n, err
}
