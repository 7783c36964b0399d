package server_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// protected serves a port with a password, over TLS too, and returns its address and how to get in from an address.
func protected(t *testing.T, d *mgmttest.Daemon, secure bool) (addr string, enter func(from string) *seat) {
	t.Helper()
	ln, err := server.ListenTCP("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	addr = "127.0.0.1:" + port
	if secure {
		dir := t.TempDir()
		writeCertificate(t, dir)
		pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
		if err != nil {
			t.Fatal(err)
		}
		ln = server.ListenTLS(ln, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(t.Context(), ln, server.Access{Passwords: []server.Password{{Text: "x"}}}) }()
	t.Cleanup(func() { <-served })
	return addr, func(from string) *seat {
		t.Helper()
		conn := dialFrom(t, from, addr)
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		fmt.Fprintf(conn, "x\n")
		return attach(t, conn)
	}
}

func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// Connections that say nothing, or half a word, do not shut a port with a password or TLS: the oldest one makes room.
func TestSilentConnectionsShutNoPort(t *testing.T) {
	for name, secure := range map[string]bool{"password": false, "TLS": true} {
		for kind, first := range map[string]string{"silent": "", "half a line": "pass", "wrong password": "wrong\n"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Handshake: time.Minute, WrongDelay: time.Minute}})
				addr, enter := protected(t, d, secure)
				const flood, room = 40, 16 // room is the default of Limits.PreLogin
				over := make(chan error, flood)
				for range flood {
					conn := dialFrom(t, "127.0.0.1", addr)
					fmt.Fprint(conn, first)
					go func() {
						_, err := io.ReadAll(conn)
						over <- err
					}()
				}
				for range flood - room { // those that made room: all have come by then
					if err := <-over; err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("no connection makes room: %v", err)
					}
				}
				s := enter("127.0.0.1")
				s.send("pid")
				s.until("SUCCESS: pid=")
			})
		}
	}
}

// A flood from one address leaves a client of another its time: it is not the oldest that goes, but the oldest of the flood.
func TestFloodEndsItsOwn(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Handshake: time.Minute}})
	addr, enter := protected(t, d, false)
	slow := dialFrom(t, "127.0.0.2", addr)
	if _, err := io.ReadFull(slow, make([]byte, len("ENTER PASSWORD:"))); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		dialFrom(t, "127.0.0.1", addr)
	}
	enter("127.0.0.1").send("quit")
	fmt.Fprintf(slow, "x\n")
	attach(t, slow).send("quit")
}

// A stranger has 10 seconds by default.
func TestStrangersDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 10 s")
	}
	t.Parallel()
	d := mgmttest.NewDaemon(t, server.Config{})
	addr, _ := protected(t, d, false)
	conn := dialFrom(t, "127.0.0.1", addr)
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	start := time.Now()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "ENTER PASSWORD:" {
		t.Errorf("%q, %v", b, err)
	}
	if took := time.Since(start); took < 9*time.Second || took > 15*time.Second {
		t.Errorf("ended after %v", took)
	}
}

// Connections that come and go as fast as they can cost a bounded number of sessions.
func TestFloodOfConnectionsIsBounded(t *testing.T) {
	limits := server.Limits{Seats: 8, PreLogin: 4, Flush: 20 * time.Millisecond}
	d := mgmttest.NewDaemon(t, server.Config{Limits: limits})
	path := d.ListenUnix(server.Access{})
	good := attach(t, dial(t, "unix", path))
	before := runtime.NumGoroutine()
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for range 4 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if conn, err := net.Dial("unix", path); err == nil {
					_, _ = conn.Write([]byte("pid\n"))
					conn.Close()
				}
			}
		})
	}
	most := 0
	for begun := time.Now(); time.Since(begun) < time.Second; {
		good.send("pid")
		good.until("SUCCESS: pid=")
		most = max(most, runtime.NumGoroutine()-before)
	}
	close(stop)
	flood.Wait()
	if limit := 3*(8+4+32) + 10; most > limit {
		t.Errorf("%d goroutines more, want at most %d", most, limit)
	}
}
