package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

func TestSpeaksOpenVPN(t *testing.T) {
	for _, tt := range []struct {
		name string
		head []byte
		want bool
	}{
		{"plain reset", []byte{0, 14, 7 << 3}, true},
		{"tls-auth reset", []byte{0, 42, 7 << 3}, true},
		{"reset with a wrapped key", []byte{2, 0x5c, 10 << 3}, true},
		{"key id 1", []byte{0, 14, 7<<3 | 1}, false},
		{"too short", []byte{0, 13, 7 << 3}, false},
		{"too long", []byte{0x20, 0, 7 << 3}, false},
		{"server's reset", []byte{0, 26, 8 << 3}, false},
		{"a length that is enough", []byte{0, 14}, true},
		{"a length of nothing", []byte{0, 0}, false},
		{"reset that is too long without a key", []byte{1, 0, 7 << 3}, false},
		{"reset that is too short for a key", []byte{1, 0x4f, 10 << 3}, false},
		{"TLS", []byte{0x16, 3, 1}, false},
		{"GET", []byte("GET"), false},
		{"POST", []byte("POS"), false},
		{"SSH", []byte("SSH"), false},
	} {
		if got := speaksOpenVPN(tt.head); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestLimitStreams(t *testing.T) {
	for _, tt := range []struct {
		name        string
		maxClients  int
		descriptors uint64
		shares      bool
		want        streamLimits
	}{
		{"plenty", 1024, 1 << 20, true, streamLimits{own: 2*1024 + spareStreams, shared: maxShared}},
		{"no limit", 10, ^uint64(0), true, streamLimits{own: 84, shared: maxShared}},
		{"the usual soft limit", 1024, 1024, true, streamLimits{own: 672, shared: 112}},
		{"few clients", 10, 1024, true, streamLimits{own: 84, shared: 112}},
		{"nearly none", 1024, 64, true, streamLimits{own: 12, shared: 2}},
		{"the usual soft limit, no port-share", 1024, 1024, false, streamLimits{own: 896}},
		{"nearly none, no port-share", 1024, 64, false, streamLimits{own: 16}},
	} {
		got := limitStreams(tt.maxClients, tt.descriptors, tt.shares)
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if most := uint64(got.own + sharedDescriptors*got.shared); tt.descriptors > ownDescriptors+16 && most+ownDescriptors > tt.descriptors {
			t.Errorf("%s: %d connections of %d descriptors", tt.name, most, tt.descriptors)
		}
	}
}

// The runtime has raised the soft limit, from which the limits are derived.
func TestDescriptorsAreRaised(t *testing.T) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cur != r.Max || descriptors() != uint64(r.Max) {
		t.Errorf("soft limit %d, hard limit %d, we count on %d", r.Cur, r.Max, descriptors())
	}
}

// Silent connections make room for others, connections with an instance do not.
func TestStreamsMakeRoom(t *testing.T) {
	s := newStreams(1, false)
	s.limits.own = 3
	closed := make(chan transport.Link, 8)
	link := func() *closing { return &closing{closed: closed} }
	client, silent, later := link(), link(), link()
	for _, l := range []*closing{client, silent, later} {
		if !s.add(l) {
			t.Fatal("no room for the first")
		}
	}
	s.enter(client)
	for n, want := range []*closing{silent, later} {
		fresh := link()
		if !s.add(fresh) {
			t.Fatalf("no room for newcomer %d", n)
		}
		if got := <-closed; got != want {
			t.Errorf("newcomer %d took the place of another", n)
		}
		s.enter(fresh)
	}
	if s.add(link()) {
		t.Error("a client lost its place")
	}
	s.remove(client)
	if !s.add(link()) {
		t.Error("no room after a client left")
	}
}

// closing is a link that tells when it is closed.
type closing struct {
	transport.Link
	closed chan transport.Link
}

func (c *closing) RemoteAddr() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:1") }

func (c *closing) Close() error {
	c.closed <- c
	return nil
}

// proxied is a share in front of a listener, and a way to hand a connection on.
func proxied(t *testing.T, limit int, idle time.Duration) (s *share, open func() net.Conn, accepted chan net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = make(chan net.Conn, 16)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	front, err := transport.ListenTCP(transport.ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	s = &share{target: ln.Addr().String(), log: func(netip.Addr, logging.Level, string, ...any) {}, name: (&setup{}).outer, limit: limit, idle: idle, began: time.Now(), open: make(map[*handed]struct{})}
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		ln.Close()
		front.Close()
		cancel()
		serving.Wait()
	})
	return s, func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("GET /")); err != nil {
			t.Fatal(err)
		}
		l, err := front.Accept()
		if err != nil {
			t.Fatal(err)
		}
		serving.Go(func() {
			defer l.Close()
			if s.foreign(l) {
				s.serve(ctx, l)
			}
		})
		return c
	}, accepted
}

func ended(c net.Conn) bool {
	_, err := io.ReadAll(c)
	return err == nil || !errors.Is(err, os.ErrDeadlineExceeded)
}

// A connection on which nothing moves ends, one that is used in one direction only goes on.
func TestShareIdle(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second // of which a loaded machine may take a good part between two writes
	_, open, accepted := proxied(t, 4, idle)
	quiet := open()
	idling := <-accepted
	defer idling.Close() // the collector would close it earlier
	used := open()
	server := <-accepted
	defer server.Close()
	gone := make(chan bool, 1)
	go func() { gone <- ended(quiet) }()
	for over := false; !over; {
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatal("the one that is used has ended:", err)
		}
		select {
		case was := <-gone:
			if over = true; !was {
				t.Error("the idle connection is still open")
			}
		case <-time.After(idle / 40):
		}
	}
	if _, err := io.ReadFull(used, make([]byte, 8)); err != nil {
		t.Error("the one that is used has ended:", err)
	}
}

// When all places are taken, a connection that was used lately keeps its place, one that was not loses it.
func TestSharePlaces(t *testing.T) {
	s, open, accepted := proxied(t, 2, time.Hour)
	first, second := open(), open()
	for range 2 {
		defer (<-accepted).Close() // the collector would close it earlier
	}
	if !ended(open()) {
		t.Error("a third connection has a place")
	}
	for fourth := net.Conn(nil); fourth == nil; { // again where a byte of first was still on its way
		s.mu.Lock()
		for c := range s.open {
			if c.in.RemoteAddr().String() == first.LocalAddr().String() {
				c.moved.Add(-int64(2 * shareMakesRoom))
			}
		}
		s.mu.Unlock()
		open()
		select {
		case fourth = <-accepted:
			defer fourth.Close()
		case <-time.After(time.Second):
		}
	}
	if !ended(first) {
		t.Error("the idle connection kept its place")
	}
	_ = second.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if ended(second) {
		t.Error("the other lost its place")
	}
}

// A source that holds the most places makes room for others at once, for itself only after a pause.
func TestSharePlacesBySource(t *testing.T) {
	s := &share{limit: 4, began: time.Now(), open: make(map[*handed]struct{})}
	enter := func(source string) *handed {
		c := &handed{in: new(net.TCPConn), share: s, source: ratelimit.Prefix(netip.MustParseAddr(source))}
		if !s.enter(c) {
			return nil
		}
		return c
	}
	greedy := []*handed{enter("192.0.2.1"), enter("192.0.2.2"), enter("192.0.2.1"), enter("192.0.2.3")}
	for n, c := range greedy {
		c.moved.Store(int64(n)) // the first is the idlest
	}
	for _, step := range []struct {
		from string
		has  bool
		left int // of the greedy ones, the first to go are the idlest
	}{
		{"192.0.2.9", false, 4},
		{"198.51.100.1", true, 3},
		{"203.0.113.1", true, 2},
		{"198.51.100.2", false, 2}, // it would hold as many as the greedy source
		{"2001:db8::1", true, 1},
		{"2001:db8:1::1", false, 1}, // all hold one, and use it
	} {
		if has := enter(step.from) != nil; has != step.has {
			t.Errorf("%s has a place: %v, want %v", step.from, has, step.has)
		}
		for n, c := range greedy {
			if _, open := s.open[c]; open != (n >= 4-step.left) {
				t.Errorf("after %s connection %d of the greedy source is open: %v", step.from, n, open)
			}
		}
		if len(s.open) != s.limit {
			t.Errorf("after %s %d connections, the limit is %d", step.from, len(s.open), s.limit)
		}
	}
}

// portSharing is a server with port-share, and a back end that accepts what comes until the test is over.
func portSharing(t *testing.T, options ...string) *rig {
	t.Helper()
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { web.Close() })
	host, port, _ := net.SplitHostPort(web.Addr().String())
	return newRig(t, "tcp-server", append(options, "--port-share", host, port)...)
}

// Connections of others, however many and whether they say something, keep no client out.
func TestOthersKeepNoClientOut(t *testing.T) {
	for name, greeting := range map[string]string{"held web connections": "GET / HTTP/1.1\r\n", "silent connections": "", "two bytes": "\x00\x0e", "half a frame": "\x00\x0e\x38"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := portSharing(t, "--max-clients", "10", "--hand-window", "60")
			for n := range 120 {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatalf("connection %d: %v", n, err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, greeting); err != nil {
					t.Fatal(err)
				}
			}
			c, err := r.dial("", ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if !c.up(20 * time.Second) {
				t.Errorf("the client does not get in: %v", c.failed)
			}
		})
	}
}

// A TCP connection that says nothing lasts as long as a handshake may.
func TestSilentConnectionsEndWithHandWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, "tcp-server", "--hand-window", "1")
	start := time.Now() // the server's time begins when it accepts, which may be before Dial is back
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(start.Add(20 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("still open after 20 s")
	}
	if took := time.Since(start); took < 800*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
}

// A length above the largest packet ends a connection before its body has come.
func TestLongFramesEndAConnectionAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "tcp-server", "--hand-window", "30")
	for _, tt := range []struct {
		length int
		ends   bool
	}{{2, false}, {1500, false}, {1768, false}, {1769, true}, {4096, true}, {0x4745, true}, {0xffff, true}, {0, true}} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte{byte(tt.length >> 8), byte(tt.length), 0x38}); err != nil {
			t.Fatal(err)
		}
		limit := 10 * time.Second
		if !tt.ends {
			limit = 200 * time.Millisecond
		}
		_ = c.SetDeadline(time.Now().Add(limit))
		if got := ended(c); got != tt.ends {
			t.Errorf("length %d: ended %v, want %v", tt.length, got, tt.ends)
		}
	}
}

// The places of connections that port-share hands on are those of all listeners together.
func TestSharePlacesOfAllListeners(t *testing.T) {
	s, _, accepted := proxied(t, 2, time.Hour)
	e := &entrance{
		plane:    &plane{aside: &aside{base: &base{deps: Deps{Log: logging.Discard()}}, inbox: newInbox(), limiter: newLimiter(), boot: new(setup)}},
		arrivals: arrivals{streams: newStreams(8, true)}, other: s,
	}
	e.boot.Options = new(config.Options)
	e.boot.HandWindow = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var fronts []*transport.Listener
	for range 2 {
		ln, err := transport.ListenTCP(transport.ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		fronts = append(fronts, ln)
		wg.Go(func() { _ = e.acceptStreams(ctx, ln, &wg) })
	}
	open := func(front int) net.Conn {
		c, err := net.Dial("tcp", fronts[front].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(c, "GET /"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for front := range fronts {
		open(front)
		defer (<-accepted).Close() // the collector would close it earlier
	}
	if !ended(open(1)) {
		t.Error("a third connection has a place")
	}
}

// A stranger's connections, however many, cause a bounded number of lines.
func TestLinesAboutConnections(t *testing.T) {
	t.Parallel()
	for name, greeting := range map[string]string{"silent": "", "a web client": "GET / HTTP/1.1\r\n", "nonsense": "\xff\xff\xff\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := portSharing(t)
			began := time.Now()
			before := strings.Count(r.log.String(), "\n")
			const many = 300
			for range many {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(c, greeting)
				c.Close()
			}
			r.await("the server has seen all of them", func() bool {
				left := true
				r.onHub(func(h *hub) {
					h.streams.mu.Lock()
					defer h.streams.mu.Unlock()
					left = len(h.streams.open) > 0
				})
				return !left
			})
			lines := strings.Count(r.log.String(), "\n") - before
			if most := strangeLines + int(time.Since(began)/strangePause) + 4; lines > most {
				t.Errorf("%d connections cause %d lines, want %d at most", many, lines, most)
			}
		})
	}
}
