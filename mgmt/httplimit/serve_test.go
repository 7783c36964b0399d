package httplimit

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// start serves h and returns the address, and a function that ends the server and returns its error.
func start(t *testing.T, h http.HandlerFunc, l Limits) (addr string, end func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, ln, h, l) }()
	end = func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(15 * time.Second):
			t.Fatal("the server does not end")
			return nil
		}
	}
	return ln.Addr().String(), end
}

func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPeersThatHoldOnAreLetGo(t *testing.T) {
	hello := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			io.WriteString(w, "hello")
		}
	}
	addr, end := start(t, hello, Limits{Connections: 4, Request: 300 * time.Millisecond, Answer: time.Second, HeaderBytes: 4 << 10})
	for name, text := range map[string]string{
		"silent":         "",
		"half a head":    "GET / HTTP/1.1\r\nHost: x\r\n",
		"half a body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"a head too big": "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
	} {
		answer, err := io.ReadAll(dial(t, addr, text))
		if strings.Contains(string(answer), "hello") || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	if got, err := http.Get("http://" + addr); err != nil || got.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %v %v", got, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// Peers that hold all connections, each in its way, keep nobody out, and those that are being answered stay.
func TestHeldConnectionsMakeRoom(t *testing.T) {
	for name, text := range map[string]string{
		"silent":       "",
		"half a head":  "GET / HTTP/1.1\r\n",
		"half a body":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"endless body": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"kept":         "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := make(chan bool)
			addr, end := start(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err != nil {
					return
				}
				if r.URL.Path == "/slow" {
					slow <- true
					<-slow
				}
				io.WriteString(w, "hello")
			}, Limits{Connections: 3, Request: time.Minute})
			asked := dial(t, addr, "GET /slow HTTP/1.0\r\n\r\n")
			<-slow
			for range 10 {
				dial(t, addr, text)
			}
			if answer, err := io.ReadAll(dial(t, addr, "GET / HTTP/1.0\r\n\r\n")); err != nil || !strings.HasSuffix(string(answer), "hello") {
				t.Errorf("another: %q, %v", answer, err)
			}
			slow <- true
			if answer, err := io.ReadAll(asked); err != nil || !strings.HasSuffix(string(answer), "hello") {
				t.Errorf("the one being answered: %q, %v", answer, err)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// When all are being answered, one more is closed at once, or waits.
func TestAnswersUnderWayAreBounded(t *testing.T) {
	for _, wait := range []bool{false, true} {
		begun, release := make(chan bool), make(chan bool)
		addr, end := start(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-release
			io.WriteString(w, "hello")
		}, Limits{Connections: 2, Wait: wait})
		for range 2 {
			dial(t, addr, "GET / HTTP/1.0\r\n\r\n")
			<-begun
		}
		third := dial(t, addr, "GET / HTTP/1.0\r\n\r\n")
		if wait {
			close(release)
			<-begun
		}
		answer, err := io.ReadAll(third)
		if got := strings.HasSuffix(string(answer), "hello"); got != wait || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("wait %v: %q, %v", wait, answer, err)
		}
		if !wait {
			close(release)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	}
}

// The connections of one network count together, whatever their addresses.
func TestTheNetworkWithMostLosesOne(t *testing.T) {
	l := newListener(nil, 4, false)
	for _, from := range []string{"192.0.2.1:1", "[2001:db8::1]:1", "[2001:db8::2]:1", "[::ffff:192.0.2.9]:1"} {
		l.enter(&placed{from: from})
	}
	for _, c := range []struct{ from, goes string }{
		{"192.0.2.7:1", "[2001:db8::1]:1"},
		{"192.0.2.9:2", "192.0.2.1:1"}, // all networks have one: the oldest
		{"192.0.2.1:3", "192.0.2.9:1"},
	} {
		before := slices.Clone(l.peers)
		p := l.enter(&placed{from: c.from})
		i := slices.IndexFunc(before, func(old *peer) bool { return !slices.Contains(l.peers, old) })
		if p == nil || i < 0 || before[i].RemoteAddr().String() != c.goes || !before[i].Conn.(*placed).closed {
			t.Errorf("%s: %v goes, want %s", c.from, i, c.goes)
		}
	}
}

// placed is a connection that has an address and nothing else.
type placed struct {
	net.Conn
	from   string
	closed bool
}

func (c *placed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

func (c *placed) Close() error {
	c.closed = true
	return nil
}

// The end lets answers finish that are given the time, and ends the contexts of the others.
func TestLeave(t *testing.T) {
	for _, leave := range []time.Duration{0, 10 * time.Second} {
		begun, release, ended := make(chan bool, 1), make(chan bool), make(chan bool, 1)
		addr, end := start(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			select {
			case <-release:
			case <-r.Context().Done():
				ended <- true
			}
			io.WriteString(w, "bye")
		}, Limits{Leave: leave})
		c := dial(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
		if leave > 0 {
			time.AfterFunc(50*time.Millisecond, func() { close(release) })
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		answer, err := io.ReadAll(c)
		if got := strings.HasSuffix(string(answer), "bye"); got != (leave > 0) {
			t.Errorf("leave %v: %q, %v", leave, answer, err)
		}
		if leave == 0 {
			<-ended
		}
	}
}
