package server

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt"
)

// share hands TCP connections of other protocols to another server (port-share), from all listeners. They have places and limits of
// their own: any peer may have one, and none takes the place of a client.
type share struct {
	target string // host:port
	dir    string // for files that tell where a connection came from, "" for none
	log    func(source netip.Addr, lv logging.Level, format string, args ...any)
	name   func(transport.Peer) outer
	limit  int // connections at once
	idle   time.Duration

	began time.Time
	mu    sync.Mutex // guards open
	open  map[*handed]struct{}
}

// newShare is nil without port-share.
func newShare(set *setup, limit int, log func(source netip.Addr, lv logging.Level, format string, args ...any)) *share {
	if set.PortShare.Host == "" {
		return nil
	}
	return &share{
		target: net.JoinHostPort(set.PortShare.Host, set.PortShare.Port), dir: set.PortShare.Dir, log: log, name: set.outer,
		limit: limit, idle: shareIdle, began: time.Now(), open: make(map[*handed]struct{}),
	}
}

const (
	// shareDialTime bounds the connection to the other server.
	shareDialTime = 10 * time.Second
	// shareIdle ends a connection on which nothing moved for this long, in either direction. It is long: an SSH session
	// behind the port is silent while its user reads.
	shareIdle = time.Hour
	// shareLinger takes the place of shareIdle once one side has ended.
	shareLinger = 5 * time.Minute
	// shareMakesRoom is how long nothing has moved on a connection that is closed for another when all places are taken.
	shareMakesRoom = 10 * time.Second
	// shareBuffer is the size of one read of a connection.
	shareBuffer = 16 << 10
)

// openings are the hard resets that clients begin with, by the length of the frame, which tells them apart: the longer one
// has a wrapped key behind it. TestSenselessStreamsAreClosed compares with stock.
var openings = []struct {
	min, max int
	op       wire.Opcode
}{
	{minReset, 255, wire.OpControlHardResetClientV2},
	{336, 1278, wire.OpControlHardResetClientV3},
}

// speaksOpenVPN reports whether the first bytes of a connection can be those of a client: two, the length of a frame, or
// more.
func speaksOpenVPN(head []byte) bool {
	n := int(head[0])<<8 | int(head[1])
	for _, o := range openings {
		if n >= o.min && n <= o.max {
			return len(head) == 2 || head[2] == wire.Header(o.op, 0)
		}
	}
	return false
}

// foreign waits for the first bytes of a connection and reports whether they are of another protocol: as few as tell it.
func (s *share) foreign(l *transport.TCPLink) bool {
	for n := 2; n <= 3; n++ {
		head, err := l.Peek(n)
		if err != nil {
			return false // it comes up again with the first packet
		}
		if !speaksOpenVPN(head) {
			return true
		}
	}
	return false
}

// serve hands a connection of another protocol on until it ends, or ctx does. The link is used up then.
func (s *share) serve(ctx context.Context, l *transport.TCPLink) {
	from, name := l.RemoteAddr(), s.name(l.Peer())
	source := from.Addr()
	s.log(source, logging.Info, "%s Non-OpenVPN client protocol detected", name)
	s.log(source, logging.Steps, "%s SIGTERM[soft,%s] received, client-instance exiting", name, mgmt.ReasonPortShare)
	conn, head := l.Detach()
	defer conn.Close()
	c := &handed{in: conn.(*net.TCPConn), share: s, source: ratelimit.Prefix(from.Addr())}
	if !s.enter(c) {
		s.log(source, logging.Error, "PORT SHARE PROXY: connection from %s refused: there are too many (%d)", name, s.limit)
		return
	}
	defer s.leave(c)
	d := net.Dialer{Timeout: shareDialTime}
	to, err := d.DialContext(ctx, "tcp", s.target)
	if err != nil {
		s.log(source, logging.Error, "PORT SHARE PROXY: connect to port-share server failed: %v", err)
		return
	}
	c.out = to.(*net.TCPConn)
	defer c.out.Close()
	defer s.note(transport.AddrText(c.out.LocalAddr().(*net.TCPAddr).AddrPort()), from)()
	c.run(ctx, head)
}

// enter gives a connection a place. When all are taken, one of the source that holds most makes room, that on which nothing
// moved for longest: at once for a source that holds clearly fewer, else only after a pause.
func (s *share) enter(c *handed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.touch()
	if len(s.open) >= s.limit {
		held := make(map[netip.Prefix]int)
		for o := range s.open {
			held[o.source]++
		}
		var out *handed
		for o := range s.open {
			switch more := held[o.source]; {
			case out == nil, more > held[out.source], more == held[out.source] && o.moved.Load() < out.moved.Load():
				out = o
			}
		}
		if out == nil || held[out.source] <= held[c.source]+1 && out.idle() < shareMakesRoom {
			return false
		}
		delete(s.open, out)
		_ = out.in.Close() // ends both directions
	}
	s.open[c] = struct{}{}
	return true
}

func (s *share) leave(c *handed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// handed is a connection that was handed on.
type handed struct {
	in, out *net.TCPConn
	source  netip.Prefix
	share   *share
	moved   atomic.Int64 // when a byte moved last, since share.began
}

func (c *handed) touch() { c.moved.Store(int64(time.Since(c.share.began))) }

func (c *handed) idle() time.Duration {
	return time.Since(c.share.began) - time.Duration(c.moved.Load())
}

// run copies in both directions, head first, until both have ended, nothing moves any more, or ctx ends.
func (c *handed) run(ctx context.Context, head []byte) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() {
		c.in.Close()
		c.out.Close()
	})
	_ = c.in.SetDeadline(time.Time{})
	var half atomic.Bool // one side has ended
	var both sync.WaitGroup
	copyTo := func(to, from *net.TCPConn, first []byte) {
		c.copy(to, from, first)
		half.Store(true)
	}
	both.Go(func() { copyTo(c.out, c.in, head) })
	both.Go(func() { copyTo(c.in, c.out, nil) })
	done := make(chan struct{})
	go func() {
		both.Wait()
		close(done)
	}()
	look := time.NewTicker(min(c.share.idle, shareLinger) / 4)
	defer look.Stop()
	for {
		select {
		case <-done:
			return
		case <-look.C:
			limit := c.share.idle
			if half.Load() {
				limit = min(limit, shareLinger)
			}
			if c.idle() >= limit {
				cancel()
			}
		}
	}
}

// copy copies until one side ends, and passes the end on. A buffer of ours takes no descriptors, pipes would take four for
// each connection.
func (c *handed) copy(to, from *net.TCPConn, first []byte) {
	_, err := to.Write(first)
	buf := make([]byte, shareBuffer)
	for err == nil {
		var n int
		if n, err = from.Read(buf); n > 0 {
			c.touch()
			if _, werr := to.Write(buf[:n]); werr != nil {
				_ = from.CloseRead()
				break
			}
			c.touch()
		}
	}
	_ = to.CloseWrite()
}

// note makes the file that tells the other server, by the address it sees, where a connection came from. The result
// removes it.
//
// Rule: docs/protocol.md#88-port-share: the name is the proxy's address, the content the client's.
func (s *share) note(seen string, origin netip.AddrPort) (remove func()) {
	if s.dir == "" {
		return func() {}
	}
	path := filepath.Join(s.dir, seen)
	if err := os.WriteFile(path, []byte(transport.AddrText(origin)), 0o600); err != nil {
		s.log(origin.Addr(), logging.Warn, "PORT SHARE PROXY: %v", err)
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}
