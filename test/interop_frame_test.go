//go:build linux

package test

import (
	"bufio"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var anyPort = regexp.MustCompile(`10\.99\.0\.2:\d+`)

// A TCP connection ends as with stock, in its words and with its flags on the port: a length that no packet has ends it at once.
func TestStreamEndsLikeStock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		extra []string
		far   func(*net.TCPConn) error // after the client's first packet
		first bool                     // to a server, in its place
	}{
		"no length":                {nil, says("\x00\x00\x38"), false},
		"no length, at first":      {nil, says("\x00\x00\x38"), true},
		"one above the largest":    {nil, says("\x06\xe9\x38"), false},
		"another protocol":         {nil, says("GET / HTTP/1.0\r\n\r\n"), true},
		"with longer control ones": {[]string{"--max-packet-size", "2000"}, says("\x08\x79\x38"), false},
		"with a larger MTU":        {[]string{"--tun-mtu", "9000"}, says("\x23\xd1\x38"), false},
		"hung up":                  {nil, (*net.TCPConn).Close, false},
		"cut off":                  {nil, func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) }, false},
	} {
		t.Run("server/"+name, func(t *testing.T) {
			t.Parallel()
			sameLines(t, func(l *lab, start starter) {
				s := start(t, l.server, l.serverArgs(append(tt.extra, "--proto", "tcp-server", "--management", l.file("port"), "unix")...))
				s.WaitLine(t, up, upLimit)
				l.client.Do(t, func() error {
					c, err := net.Dial("tcp", "10.99.0.1:1194")
					if err != nil {
						return err
					}
					defer c.Close()
					if tt.first {
						return tt.far(c.(*net.TCPConn))
					}
					if _, err := c.Write([]byte("\x00\x0e\x38abcdefgh\x00\x00\x00\x00\x00")); err != nil {
						return err
					}
					return errors.Join(hear(c), tt.far(c.(*net.TCPConn)))
				})
				s.WaitLine(t, "Connection reset", upLimit)
			})
		})
		t.Run("client/"+name, func(t *testing.T) {
			t.Parallel()
			sameLines(t, func(l *lab, start starter) {
				var ln net.Listener
				l.server.Do(t, func() (err error) {
					ln, err = net.Listen("tcp", "10.99.0.1:1194")
					return err
				})
				t.Cleanup(func() { ln.Close() })
				p := start(t, l.client, l.clientArgs(append(tt.extra, "--proto", "tcp-client", "--nobind", "--management", l.file("port"), "unix")...))
				c, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := errors.Join(hear(c), tt.far(c.(*net.TCPConn))); err != nil {
					t.Fatal(err)
				}
				p.WaitLine(t, "Connection reset", upLimit)
			})
		})
	}
}

// says is a far end that sends bytes and waits until the connection is closed.
func says(bytes string) func(*net.TCPConn) error {
	return func(c *net.TCPConn) error {
		if _, err := c.Write([]byte(bytes)); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		for buf := make([]byte, 1024); ; {
			switch _, err := c.Read(buf); {
			case errors.Is(err, os.ErrDeadlineExceeded):
				return err
			case err != nil:
				return nil
			}
		}
	}
}

// hear reads the other end's first packet.
func hear(c net.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := c.Read(make([]byte, 1024))
	return err
}

// sameLines plays with both daemons and compares what their ports say of the connection, flags included.
func sameLines(t *testing.T, play func(*lab, starter)) {
	t.Helper()
	said := func(start starter) (lines []string) {
		l := newLab(t)
		play(l, start)
		c, err := net.Dial("unix", l.file("port"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(upLimit))
		if _, err := c.Write([]byte("log all\n")); err != nil {
			t.Fatal(err)
		}
		for r := bufio.NewScanner(c); r.Scan() && r.Text() != "END"; {
			if line := r.Text(); strings.Contains(line, "Bad encapsulated") || strings.Contains(line, "code=") || strings.Contains(line, "Connection reset") {
				_, line, _ = strings.Cut(line, ",")
				lines = append(lines, anyPort.ReplaceAllString(line, "10.99.0.2:PORT"))
			}
		}
		return lines[:min(len(lines), 2)] // a client may be at its next connection
	}
	if diff := cmp.Diff(said(stock), said(ours)); diff != "" {
		t.Errorf("(-stock +ours):\n%s", diff)
	}
}
