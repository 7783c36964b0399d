//go:build linux

package test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mux"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// muxSeats is how many clients the one seat of a stock daemon is shared out to.
const muxSeats = 16

// shareOut runs a mux in front of a management socket and returns its own.
func shareOut(t *testing.T, upstream string) string {
	t.Helper()
	m, err := mux.New(mux.Config{Upstreams: []mux.Upstream{{Addr: upstream}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mux")
	ln, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() { _ = m.Serve(ctx, ln, server.Access{}) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return path
}

// watcher counts what a seat is told.
type watcher struct {
	*client.Client
	sub  *client.Subscription
	seen map[string]int // heads of notifications
}

func watch(t *testing.T, path string) *watcher {
	t.Helper()
	c := manage(t, path)
	return &watcher{c, c.Subscribe(), make(map[string]int)}
}

// until reads notifications up to one that begins so.
func (w *watcher) until(t *testing.T, head string) {
	t.Helper()
	for {
		n, err := notified(t, w.sub)
		if err != nil {
			t.Fatalf("waiting for %s after %v: %v", head, w.seen, err)
		}
		w.seen[n.String()]++
		if strings.HasPrefix(n.String(), head) {
			return
		}
	}
}

// monitor asks for the status every 100 ms until stopped, and counts good answers and such that tell of a lost daemon.
type monitor struct {
	answers, lost atomic.Int64
	stop          func()
}

func newMonitor(t *testing.T, path, command, want string) *monitor {
	t.Helper()
	c := manage(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	m := &monitor{}
	var running sync.WaitGroup
	running.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			r, err := c.Cmd(ctx, command)
			var refused *client.ReplyError
			switch {
			case ctx.Err() != nil:
			case err == nil && strings.HasPrefix(r.Raw[0], want):
				m.answers.Add(1)
			case errors.As(err, &refused) && (strings.Contains(refused.Text, "not connected") || strings.Contains(refused.Text, "lost") || strings.Contains(refused.Text, "current daemon mode")):
				m.lost.Add(1)
			default:
				t.Errorf("the monitor got %q, %v", r.Raw, err)
				return
			}
		}
	})
	m.stop = func() { cancel(); running.Wait() }
	t.Cleanup(m.stop)
	return m
}

// wait lets the monitor have a few good answers, and stops it.
func (m *monitor) wait(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(upLimit); m.answers.Load() < 5; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the monitor got %d answers", m.answers.Load())
		}
	}
	m.stop()
}

// deafSeat subscribes to everything and never reads.
func deafSeat(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.(*net.UnixConn).SetReadBuffer(4096)
	fmt.Fprint(conn, "log on all\nstate on all\nbytecount 1\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
}

// Sixteen seats on the one of a stock server: one decides about logins, one polls the status, one has stopped reading, the rest
// watch. The server is killed and started again under way.
func TestMuxOnStockServer(t *testing.T) {
	if testing.Short() {
		t.Skip("plays in network namespaces")
	}
	t.Parallel()
	l := newLab(t)
	sock := l.file("s.sock")
	login := l.write(t, "login.txt", []byte("alice\nsecret\n"))
	start := func() *daemontest.Process {
		return l.stockServer(t, "--management", sock, "unix", "--management-client-auth", "--verb", "4")
	}
	s := start()
	path := shareOut(t, sock)
	decider := watch(t, path)
	status := newMonitor(t, path, "status 2", "TITLE,OpenVPN")
	deafSeat(t, path)
	var watchers []*watcher
	for range muxSeats - 3 {
		watchers = append(watchers, watch(t, path))
	}
	c := stock(t, l.client, l.clientArgs("--auth-user-pass", login, "--management", l.file("c.sock"), "unix", "--connect-retry", "1", "1", "--connect-timeout", "3"))
	admit := func() {
		t.Helper()
		for {
			n, err := notified(t, decider.sub)
			if err != nil {
				t.Fatal(err)
			}
			if f := strings.Split(n.Text, ","); n.Kind == mgmt.KindClient && f[0] == mgmt.ClientConnect {
				if pass, _ := n.Lookup("password"); pass != "secret" {
					t.Errorf("the decider sees the password %q", pass)
				}
				do(t, decider.Client, "client-auth-nt", f[1], f[2])
				break
			}
		}
		for _, w := range watchers {
			w.until(t, ">CLIENT:ESTABLISHED,")
		}
	}
	admit()
	for i, w := range watchers {
		if w.seen[">CLIENT:CONNECT,0,1"] != 1 || w.seen[">CLIENT:ESTABLISHED,0"] != 1 {
			t.Errorf("watcher %d saw %v", i, w.seen)
		}
	}
	if _, err := watchers[0].Do(t.Context(), "client-deny", "0", "1", "late"); err == nil || !strings.Contains(err.Error(), "another management client was first") {
		t.Errorf("a second decision: %v", err)
	}
	late := watch(t, path)
	if got, err := late.Status(t.Context()); err != nil || len(got.Clients) != 1 {
		t.Errorf("a late seat sees %+v, %v", got, err)
	}
	// The server dies, and another begins in its place.
	s.Signal(t, syscall.SIGKILL)
	s.Wait(t, 10*time.Second)
	for _, w := range append(watchers, late) {
		w.until(t, ">NOTIFY:info,daemon-lost,")
	}
	start()
	for _, w := range append(watchers, late) {
		w.until(t, ">NOTIFY:info,daemon-found,")
	}
	client := manage(t, l.file("c.sock"))
	do(t, client, "signal", "SIGUSR1")
	admit()
	for i, w := range watchers {
		if _, err := w.PID(t.Context()); err != nil {
			t.Errorf("watcher %d: %v", i, err)
		}
	}
	status.wait(t)
	t.Logf("the monitor got %d answers, and %d times that the daemon is away", status.answers.Load(), status.lost.Load())
	terminate(t, c)
}

// The same on a stock client that holds and asks for a password: a seat that comes late sees the question, the first answer
// wins, the others are told.
func TestMuxOnStockClient(t *testing.T) {
	if testing.Short() {
		t.Skip("plays in network namespaces")
	}
	t.Parallel()
	l := newLab(t)
	l.stockServer(t, "--auth-user-pass-verify", "/bin/true", "via-env", "--script-security", "3")
	sock := l.file("c.sock")
	start := func() *daemontest.Process {
		c := stock(t, l.client, l.clientArgs("--management", sock, "unix", "--management-hold", "--management-query-passwords", "--auth-user-pass"))
		c.WaitLine(t, "Need hold release", upLimit)
		return c
	}
	c := start()
	path := shareOut(t, sock)
	status := newMonitor(t, path, "state", "")
	deafSeat(t, path)
	var seats []*watcher
	for range muxSeats - 3 {
		w := watch(t, path)
		if _, err := w.Cmd(t.Context(), "state on"); err != nil {
			t.Fatal(err)
		}
		seats = append(seats, w)
	}
	connect := func() {
		t.Helper()
		for _, w := range seats {
			w.until(t, ">HOLD:")
		}
		do(t, seats[3].Client, "hold", "release")
		for _, w := range seats {
			w.until(t, ">PASSWORD:Need 'Auth' username/password")
		}
		late := watch(t, path)
		late.until(t, ">PASSWORD:Need 'Auth' username/password")
		do(t, seats[5].Client, "username", "Auth", "half")
		do(t, late.Client, "username", "Auth", "late")
		do(t, late.Client, "password", "Auth", "secret")
		for i, w := range seats {
			w.until(t, ">NOTIFY:info,prompt-answered,PASSWORD,Auth")
			if _, err := w.Do(t.Context(), "password", "Auth", "x"); err == nil || !strings.Contains(err.Error(), "another management client was first") {
				t.Errorf("seat %d answers, too: %v", i, err)
			}
		}
		for _, w := range seats {
			for !strings.Contains(fmt.Sprint(w.seen), "CONNECTED,SUCCESS") {
				w.until(t, ">STATE:")
			}
			clear(w.seen)
		}
		late.Close()
	}
	connect()
	c.Signal(t, syscall.SIGKILL)
	c.Wait(t, 10*time.Second)
	for _, w := range seats {
		w.until(t, ">NOTIFY:info,daemon-lost,")
	}
	c = start()
	connect()
	status.wait(t)
	terminate(t, c)
}
