package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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
	s.WaitLine(t, "Non-OpenVPN client protocol detected", time.Second)
	s.WaitLine(t, "SIGTERM[soft,port-share-redirect] received, client-instance exiting", time.Second)
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
	s.WaitLine(t, "PORT SHARE PROXY: proxy exiting", time.Second)
}
