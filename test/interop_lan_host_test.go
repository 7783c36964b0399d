//go:build linux

package test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// listenIn opens a TCP listener inside a namespace.
func listenIn(t *testing.T, n *daemontest.Namespace, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	n.Do(t, func() (err error) {
		ln, err = net.Listen("tcp", addr)
		return err
	})
	return ln
}

// dialIn connects from inside a namespace.
func dialIn(t *testing.T, n *daemontest.Namespace, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	n.Do(t, func() (err error) {
		c, err = net.DialTimeout("tcp", addr, 5*time.Second)
		return err
	})
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// port-share: a web server behind the port of the VPN, which goes on at the same time.
func TestPortShare(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := l.file("share")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		origin, err := os.ReadFile(dir + "/[AF_INET]" + r.RemoteAddr)
		fmt.Fprintf(w, "%s %s got %d bytes from %s %v", r.Method, r.URL.Path, len(body), origin, err)
	})}
	go func() { _ = web.Serve(listenIn(t, l.server, "127.0.0.1:8080")) }()
	t.Cleanup(func() { web.Close() })

	s := ours(t, l.server, l.serverArgs("--proto", "tcp-server", "--port-share", "127.0.0.1", "8080", dir))
	s.WaitLine(t, "PORT SHARE PROXY: proxy starting", upLimit)
	s.WaitLine(t, up, upLimit)
	c := stock(t, l.client, l.clientArgs("--proto", "tcp-client"))
	c.WaitLine(t, up, upLimit)

	visit := func(n *daemontest.Namespace, size int) {
		t.Helper()
		conn := dialIn(t, n, "10.99.0.1:1194")
		fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("a", size))
		answer, err := io.ReadAll(conn)
		want := fmt.Sprintf("POST /x got %d bytes from [AF_INET]%s <nil>", size, conn.LocalAddr())
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("error %v, answer %q, want %q", err, answer, want)
		}
		conn.Close()
	}
	visit(l.client, 3)
	visit(l.client, 1<<20)
	slow := dialIn(t, l.client, "10.99.0.1:1194") // byte by byte
	for _, b := range []byte("GET /slow HTTP/1.0\r\n\r\n") {
		if _, err := slow.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if answer, err := io.ReadAll(slow); err != nil || !strings.Contains(string(answer), "GET /slow got 0 bytes") {
		t.Errorf("%v, answer %q", err, answer)
	}
	slow.Close()
	s.WaitLine(t, "Non-OpenVPN client protocol detected", upLimit)
	s.WaitLine(t, "SIGTERM[soft,port-share-redirect] received, client-instance exiting", upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	eventually(t, 3*time.Second, func() string {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			return fmt.Sprintf("left behind: %v %v", left, err)
		}
		return ""
	})
	open := dialIn(t, l.client, "10.99.0.1:1194") // still open when the server ends
	fmt.Fprint(open, "GET / HTTP/1.0\r\n")
	terminate(t, c)
	terminate(t, s)
	s.WaitLine(t, "PORT SHARE PROXY: proxy exiting", upLimit)
}

// Held web connections keep no client out, of stock's server or ours.
func TestPortShareHeldConnections(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]starter{"stock": stock, "ours": ours} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			web := listenIn(t, l.server, "127.0.0.1:8080")
			t.Cleanup(func() { web.Close() })
			s := start(t, l.server, l.serverArgs("--proto", "tcp-server", "--max-clients", "10", "--port-share", "127.0.0.1", "8080"))
			s.WaitLine(t, up, upLimit)
			for range 120 {
				fmt.Fprint(dialIn(t, l.client, "10.99.0.1:1194"), "GET / HTTP/1.1\r\n")
			}
			c := stock(t, l.client, l.clientArgs("--proto", "tcp-client"))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			terminate(t, c)
			terminate(t, s)
		})
	}
}

// ids are the user, group, further groups and capabilities of all threads of a process, one line for each kind of thread.
func ids(t *testing.T, pid int) string {
	t.Helper()
	kinds := map[string]bool{}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatal("no threads", err)
	}
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread is gone
		}
		var f []string
		for _, name := range []string{"Uid", "Gid", "Groups", "CapEff", "CapPrm"} {
			m := regexp.MustCompile(`(?m)^` + name + `:[ \t]*(.*?)[ \t]*$`).FindSubmatch(b)
			if m == nil {
				t.Fatalf("no %s in %s", name, path)
			}
			f = append(f, name+" "+strings.Join(strings.Fields(string(m[1])), " "))
		}
		kinds[strings.Join(f, ", ")] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(kinds)), "\n")
}

// program is the daemon as it is released.
func program(t testing.TB) string {
	t.Helper()
	daemontest.RequireRoot(t)
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// What needs the program as it is released.
func TestReleased(t *testing.T) {
	t.Parallel()
	path := program(t)
	for name, f := range map[string]func(*testing.T, string){
		"rights": testPrivileges, "service manager": testServiceManager, "background": testBackground, "few threads": testFewThreads,
		"script": testScriptOfAnotherUser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, path)
		})
	}
}

// user and group: the rights are given up once the tunnel is up, in all threads, and a restart still works.
func testPrivileges(t *testing.T, path string) {
	drop := []string{"--user", "nobody", "--group", "nogroup", "--persist-key"}
	for _, persist := range []bool{false, true} {
		t.Run(fmt.Sprintf("persist-tun=%v", persist), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			opts := slices.Clone(drop)
			if persist {
				opts = append(opts, "--persist-tun")
			} else {
				// The clone device as most systems have it: open to everybody.
				node := l.file("tun")
				if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(node, 0o666); err != nil {
					t.Fatal(err)
				}
				for _, dir := range []string{l.dir, filepath.Dir(l.dir)} {
					if err := os.Chmod(dir, 0o711); err != nil { // or the user could not get there
						t.Fatal(err)
					}
				}
				opts = append(opts, "--dev-node", node)
			}
			want := ""
			{ // what stock does
				s := stock(t, l.server, l.serverArgs(opts...))
				s.WaitLine(t, up, upLimit)
				want = ids(t, s.PID())
				s.Stop(t)
			}
			pool, status := l.file("pool"), l.file("status")
			s := l.server.Start(t, path, l.serverArgs(append(opts, "--ifconfig-pool-persist", pool, "1", "--status", status, "1", "--keepalive", "1", "3", "--route", "10.55.0.0", "255.255.255.0", "10.8.0.2")...)...)
			s.WaitLine(t, up, upLimit)
			c := l.client.Start(t, path, l.clientArgs(append(opts, "--route", "10.66.0.0", "255.255.255.0")...)...)
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			for _, p := range []*daemontest.Process{s, c} {
				if diff := cmp.Diff(want, ids(t, p.PID())); diff != "" {
					t.Errorf("-stock +ours:\n%s", diff)
				}
				for _, line := range []string{"GID set to nogroup", "UID set to nobody", "Capabilities retained: CAP_NET_ADMIN"} {
					p.WaitLine(t, line, upLimit)
				}
			}
			for _, p := range []*daemontest.Process{s, c} {
				from := p.Lines()
				p.Signal(t, syscall.SIGUSR1)
				p.WaitLineAfter(t, from, "SIGUSR1[hard,] received, process restarting", 5*time.Second)
				p.WaitLineAfter(t, from, up, upLimit)
				if p == s {
					c.WaitLineAfter(t, c.Lines(), up, 3*upLimit) // it notices by itself
				}
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
				if kept := strings.Contains(p.Log(), "Preserving previous TUN/TAP instance: tun0"); kept != persist {
					t.Errorf("kept the device: %v", kept)
				}
				if diff := cmp.Diff(want, ids(t, p.PID())); diff != "" {
					t.Errorf("after the restart, -stock +ours:\n%s", diff)
				}
			}
			content(t, pool, "client1,10.8.0.2,")
			content(t, status, "client1,10.99.0.2:")
			if routes := l.server.Run(t, "ip", "route") + l.client.Run(t, "ip", "route"); !strings.Contains(routes, "10.55.0.0/24") || !strings.Contains(routes, "10.66.0.0/24") {
				t.Errorf("routes:\n%s", routes)
			}
			terminate(t, c)
			terminate(t, s)
			if routes := l.server.Run(t, "ip", "route") + l.client.Run(t, "ip", "route"); strings.Contains(routes, "10.55.0.0/24") || strings.Contains(routes, "10.66.0.0/24") {
				t.Errorf("routes left:\n%s", routes)
			}
		})
	}
}

// notifySocket is a service manager's socket. The result returns the messages so far.
func notifySocket(t *testing.T, path string) (received func() []string) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var all []string
	return func() []string {
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return all
			}
			all = append(all, string(b[:n]))
		}
	}
}

// What the service manager hears, beside stock: a daemon under it stays in front.
func testServiceManager(t *testing.T, path string) {
	for _, mode := range []string{"front", "daemon"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var want []string
			for i, exe := range []string{daemontest.RequireOpenVPN(t), path} {
				l := newLab(t)
				received := notifySocket(t, l.file("notify"))
				args := l.serverArgs("--log", l.file("log"), "--writepid", l.file("pid"))
				if mode == "daemon" {
					args = append(args, "--daemon", "ovpn-test", "--cd", l.dir)
				}
				p := l.server.Start(t, "env", append([]string{"NOTIFY_SOCKET=" + l.file("notify"), exe}, args...)...)
				content(t, l.file("log"), up)
				content(t, l.file("pid"), fmt.Sprintf("%d\n", p.PID()))
				var got []string
				eventually(t, 3*time.Second, func() string {
					got = nil
					for _, m := range received() {
						got = append(got, strings.ReplaceAll(m, fmt.Sprint(p.PID()), "PID"))
					}
					if len(got) == 0 || !strings.Contains(got[len(got)-1], up) {
						return fmt.Sprintf("messages %q", got)
					}
					return ""
				})
				if i == 0 {
					want = got
				} else if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-stock +ours:\n%s", diff)
				}
				terminate(t, p)
				if _, err := os.Stat(l.file("pid")); err == nil {
					t.Error("the pid file is still there")
				}
			}
		})
	}
}

// In the background: the process in front ends with status 0, the other one logs to the file, gives up its rights in a
// changed root, and ends by its pid file.
func testBackground(t *testing.T, path string) {
	l := newLab(t)
	jail := l.file("jail")
	if err := os.MkdirAll(jail+"/tmp", 0o777); err != nil {
		t.Fatal(err)
	}
	front := l.server.Start(t, path, l.serverArgs("--daemon", "--log", l.file("log"), "--writepid", l.file("pid"),
		"--user", "nobody", "--group", "nogroup", "--chroot", jail, "--persist-key", "--persist-tun")...)
	if code := front.Wait(t, upLimit); code != 0 {
		t.Fatalf("exit status %d\n%s", code, front.Log())
	}
	content(t, l.file("log"), up, "chroot to '"+jail+"' and cd to '/' succeeded", "GID set to nogroup", "UID set to nobody", "Capabilities retained: CAP_NET_ADMIN")
	b, err := os.ReadFile(l.file("pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || root != jail {
		t.Errorf("root %q %v", root, err)
	}
	if got := ids(t, pid); !strings.HasPrefix(got, "Uid 65534 65534 65534 65534, Gid 65534 65534 65534 65534, Groups , ") || strings.Contains(got, "\n") {
		t.Errorf("rights:\n%s", got)
	}
	c := stock(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	content(t, l.file("log"), "Preserving previous TUN/TAP instance: tun0")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	content(t, l.file("log"), "SIGTERM[hard,] received, process exiting")
}

// A limit of ten tasks, as old units set it, is enough for a server with a client, scripts included.
func testFewThreads(t *testing.T, path string) {
	l := newLab(t)
	script, notes := l.learnScript(t)
	s := l.server.Start(t, "prlimit", append([]string{"--nproc=10", path}, l.serverArgs("--script-security", "2", "--learn-address", script, "--client-connect", "/bin/true")...)...)
	s.WaitLine(t, up, upLimit)
	c := stock(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 20, 0, "0.01")
	content(t, notes, "add 10.8.0.2 client1")
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d threads", len(tasks))
	if len(tasks) > 9 {
		t.Errorf("%d threads", len(tasks))
	}
	terminate(t, c)
	terminate(t, s)
}
