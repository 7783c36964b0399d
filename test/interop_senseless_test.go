package test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// openings are the first bytes of connections, of clients and of what never is one.
var openings = func() map[string]string {
	frame := func(n int, b string) string { return string([]byte{byte(n >> 8), byte(n)}) + b }
	packet := func(n int, first byte) string { return frame(n, string(first)+strings.Repeat("a", n-1)) }
	const id, zero = "aaaaaaaa", "\x00\x00\x00\x00"
	list := map[string]string{
		"HTTP":                      "GET / HTTP/1.0\r\n\r\n",
		"TLS":                       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SSH":                       "SSH-2.0-x\r\n",
		"length 0":                  frame(0, ""),
		"length 0, and more":        frame(0, "") + "more than a length",
		"too long":                  frame(0x2000, "\x38"),
		"as long as can be":         frame(0xffff, "\x38"),
		"one byte":                  frame(1, "\x38"),
		"short reset":               packet(13, 0x38),
		"opcode 0":                  packet(14, 0),
		"opcode 31":                 packet(14, 0xf8),
		"key id 1":                  frame(14, "\x39"+id+"\x00"+zero),
		"server's reset":            frame(14, "\x40"+id+"\x00"+zero),
		"control packet":            frame(14, "\x20"+id+"\x00"+zero),
		"acknowledgement":           frame(22, "\x28"+id+"\x01"+zero+"bbbbbbbb"),
		"data":                      packet(50, 0x30),
		"data with a peer id":       packet(50, 0x48),
		"reset of an old version":   frame(14, "\x08"+id+"\x00"+zero),
		"reset with a key":          frame(14, "\x50"+id+"\x00"+zero),
		"reset with a long key":     packet(360, 0x50),
		"half a length":             "\x00",
		"half a frame":              frame(50, "\x38aaa"),
		"half a frame, odd opcode":  frame(50, "\xf8aaa"),
		"reset":                     frame(14, "\x38"+id+"\x00"+zero),
		"reset of tls-auth's size":  packet(42, 0x38),
		"reset of tls-crypt's size": packet(54, 0x38),
		"two resets":                strings.Repeat(frame(14, "\x38"+id+"\x00"+zero), 2),
		"reset, then HTTP":          frame(14, "\x38"+id+"\x00"+zero) + "GET / HTTP/1.0\r\n\r\n",
		"reset, then TLS":           frame(14, "\x38"+id+"\x00"+zero) + "\x16\x03\x01\x02\x00\x01",
		"reset, then length 0":      frame(14, "\x38"+id+"\x00"+zero) + frame(0, ""),
		"reset, then odd opcode":    frame(14, "\x38"+id+"\x00"+zero) + frame(14, strings.Repeat("\xf8", 14)),
		"reset, then half a frame":  frame(14, "\x38"+id+"\x00"+zero) + frame(50, "\x20"),
		"long reset, then HTTP":     packet(54, 0x38) + "GET / HTTP/1.0\r\n\r\n",
		"a length that is too long": frame(0x2000, ""),
		"a length of 1":             frame(1, ""),
		"a length of 14":            frame(14, ""),
	}
	for _, n := range []int{15, 100, 255, 256, 335, 336, 1278, 1279, 1500, 4000} {
		list[fmt.Sprintf("V2 %d", n)] = packet(n, 0x38)
		list[fmt.Sprintf("V3 %d", n)] = packet(n, 0x50)
	}
	return list
}()

// Outcomes of an opening.
const (
	closedAtOnce = "closed"
	keptOpen     = "open"
	answered     = "answered"
	handedOn     = "handed on"
)

const webMark = "web"

// A TCP connection that begins as no client does is closed at once, or handed on to the server behind port-share, and one that may
// still become a client is kept, under every wrapping as by stock: a stranger would hold a place and a descriptor until
// hand-window is over.
func TestSenselessStreamsAreClosed(t *testing.T) {
	t.Parallel()
	for wrap, w := range wraps {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/port-share=%v", wrap, shared), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				if w.files != nil {
					w.files(t, l)
				}
				args := append(l.serverArgs("--proto", "tcp-server"), l.paths(w.server)...)
				if shared {
					web := listenIn(t, l.server, "127.0.0.1:8080")
					t.Cleanup(func() { web.Close() })
					go greet(web)
					args = append(args, "--port-share", "127.0.0.1", "8080")
				}
				s := stock(t, l.server, args)
				s.WaitLine(t, up, upLimit)
				want := l.open(t, func(string) (string, time.Duration) { return keptOpen, 2 * time.Second })
				s.Stop(t)
				o := ours(t, l.server, args)
				o.WaitLine(t, up, upLimit)
				got := l.open(t, func(name string) (string, time.Duration) {
					if want[name] == keptOpen {
						return keptOpen, 300 * time.Millisecond
					}
					return "", 10 * time.Second
				})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("openings (-stock +ours):\n%s", diff)
				}
				if want["SSH"] != map[bool]string{false: closedAtOnce, true: handedOn}[shared] || want["half a length"] != keptOpen {
					t.Errorf("stock does not do what this test is about: %v", want)
				}
			})
		}
	}
}

// greet is the server behind port-share.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, webMark)
		go func() { _, _ = io.Copy(io.Discard, c); c.Close() }()
	}
}

// open makes all openings at once and returns what comes of each. wait tells for how long one is watched.
func (l *lab) open(t *testing.T, wait func(name string) (outcome string, limit time.Duration)) map[string]string {
	t.Helper()
	var mu sync.Mutex
	outcomes := make(map[string]string)
	var all sync.WaitGroup
	for name, first := range openings {
		var c net.Conn
		l.client.Do(t, func() (err error) {
			c, err = net.DialTimeout("tcp", "10.99.0.1:1194", 5*time.Second)
			return err
		})
		_, limit := wait(name)
		all.Go(func() {
			defer c.Close()
			outcome := outcomeOf(c, first, limit)
			mu.Lock()
			outcomes[name] = outcome
			mu.Unlock()
		})
	}
	all.Wait()
	return outcomes
}

// outcomeOf sends the first bytes of a connection and tells what comes of it in time.
func outcomeOf(c net.Conn, first string, limit time.Duration) string {
	_ = c.SetDeadline(time.Now().Add(limit))
	_, _ = io.WriteString(c, first)
	b := make([]byte, 256)
	n, err := c.Read(b)
	switch {
	case n > 0 && strings.HasPrefix(string(b[:n]), webMark):
		return handedOn
	case n > 0:
		return answered
	case errors.Is(err, os.ErrDeadlineExceeded):
		return keptOpen
	default:
		return closedAtOnce
	}
}

// A TCP connection that says too little to be a client holds its place until hand-window is over, and no longer, with stock as
// with us.
func TestSilentStreamsEndWithHandWindow(t *testing.T) {
	t.Parallel()
	const window = 3 * time.Second
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := program(t, l.server, l.serverArgs("--proto", "tcp-server", "--hand-window", "3"))
			s.WaitLine(t, up, upLimit)
			var all sync.WaitGroup
			for what, first := range map[string]string{"silent": "", "half a length": openings["half a length"], "half a frame": openings["half a frame"], "reset": openings["reset"]} {
				c := dialIn(t, l.client, "10.99.0.1:1194")
				all.Go(func() {
					since := time.Now()
					_ = c.SetDeadline(since.Add(10 * window))
					_, _ = io.WriteString(c, first)
					_, err := io.Copy(io.Discard, c)
					took := time.Since(since)
					if errors.Is(err, os.ErrDeadlineExceeded) || took < window-time.Second {
						t.Errorf("%s: ended after %v: %v", what, took, err)
					}
				})
			}
			all.Wait()
		})
	}
}
