package httplimit

import (
	"context"
	"io"
	"net"
	"net/http"
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

func TestConnectionsAreBounded(t *testing.T) {
	addr, end := start(t, func(http.ResponseWriter, *http.Request) {}, Limits{Connections: 2, Request: 15 * time.Second})
	first, second := dial(t, addr, "GET / HTTP/1.1\r\n"), dial(t, addr, "GET / HTTP/1.1\r\n")
	if _, err := io.ReadAll(dial(t, addr, "")); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a third connection: %v", err)
	}
	first.Close()
	second.Close()
	for stop := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := http.Get("http://" + addr); err == nil {
			break
		} else if time.Now().After(stop) {
			t.Fatal(err)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
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
