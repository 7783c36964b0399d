package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// The time for the handshake does not bound what comes after it, in neither direction.
func TestHandshakeLimitEnds(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Handshake: 100 * time.Millisecond}})
	conn := dial(t, "tcp", d.ListenTCP(server.Access{Passwords: []server.Password{{Text: "x"}}}))
	fmt.Fprintf(conn, "x\n")
	s := attach(t, conn)
	time.Sleep(300 * time.Millisecond) // past the limit
	s.send("pid")
	s.until("SUCCESS: pid=")
	d.InfoMsg("still here")
	s.until(">INFOMSG:still here")
}

// deafSeat is a seat whose writer is stuck: it asked for more than its connection holds and reads nothing of it.
func deafSeat(t *testing.T, d *mgmttest.Daemon, conn net.Conn) *seat {
	t.Helper()
	s := attach(t, conn)
	s.send("log on")
	s.until("SUCCESS")
	for i := range 100_000 {
		d.Log(mgmt.LogEntry{Text: fmt.Sprintf("line %d of what nobody reads, and long enough that buffers fill %064d", i, i)})
	}
	return s
}

// A seat that does not read holds up neither the end of its listener nor that of the server.
func TestDeafSeatHoldsUpNoEnd(t *testing.T) {
	for name, end := range map[string]func(d *mgmttest.Daemon, cancel context.CancelFunc){
		"listener": func(_ *mgmttest.Daemon, cancel context.CancelFunc) { cancel() },
		"server":   func(d *mgmttest.Daemon, _ context.CancelFunc) { d.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Flush: 100 * time.Millisecond}})
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- d.Serve(ctx, ln, server.Access{}) }()
			deafSeat(t, d, dial(t, "tcp", ln.Addr().String()))
			end(d, cancel)
			select {
			case err := <-served:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Serve waits for a seat that does not read")
			}
		})
	}
}

// A seat that says goodbye and leaves its output unread is gone soon, too.
func TestDeafSeatQuits(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{Limits: server.Limits{Flush: 100 * time.Millisecond}})
	s := deafSeat(t, d, dial(t, "tcp", d.ListenTCP(server.Access{})))
	s.send("quit")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if all, _ := d.Seats(); all == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the seat is still attached")
		}
	}
}

// lateRead is a connection whose first Read returns only when somebody has set a deadline in the past meanwhile: the end
// of the session overtakes the password that was just read.
type lateRead struct {
	net.Conn
	once sync.Once
	read chan struct{} // closed when the password is there
	past chan struct{} // closed by a deadline in the past
}

func (c *lateRead) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.once.Do(func() {
		close(c.read)
		<-c.past
	})
	return n, err
}

func (c *lateRead) SetReadDeadline(t time.Time) error {
	err := c.Conn.SetReadDeadline(t)
	if t.Before(time.Now()) {
		close(c.past)
	}
	return err
}

// A listener that ends in the moment a client gives the right password ends that session too.
func TestEndMeetsLogin(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	for range 10 { // how it went on was a matter of luck
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		conn := &lateRead{Conn: ours, read: make(chan struct{}), past: make(chan struct{})}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = d.ServeConn(ctx, conn, server.Access{Passwords: []server.Password{{Text: "x"}}})
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		fmt.Fprintf(theirs, "x\n")
		<-conn.read
		cancel()
		select {
		case <-served:
		case <-time.After(5 * time.Second):
			theirs.Close()
			<-served
			t.Fatal("the session goes on without its listener")
		}
		theirs.Close()
	}
}

// The socket at a path that somebody else took over meanwhile is left to them.
func TestUnixSocketOfSomebodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	first, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first to end removed the socket of the second: %v", err)
	}
	conn.Close()
	second.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays behind: %v", err)
	}
	if err := second.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}
