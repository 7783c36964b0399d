package client

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// proxy is an HTTP proxy on loopback that lets one login through; it notes what it is asked.
type proxy struct {
	net.Listener
	login string
	mu    sync.Mutex
	asked []string // the status of each answer, and the login
	wg    sync.WaitGroup
}

func newProxy(t *testing.T, login string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: ln, login: login}
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); p.wg.Wait() })
	return p
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	req, err := http.ReadRequest(in)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(req.Header.Get("Proxy-Authorization"), "Basic "))
	status := 200
	if string(b) != p.login {
		status = 407
	}
	p.mu.Lock()
	p.asked = append(p.asked, fmt.Sprint(status, " ", string(b)))
	p.mu.Unlock()
	if status == 407 {
		fmt.Fprint(conn, "HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\r\n")
		return
	}
	fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\n")
	far, err := net.Dial("tcp4", req.Host)
	if err != nil {
		return
	}
	defer far.Close()
	p.wg.Go(func() { _, _ = io.Copy(far, in); far.Close() })
	_, _ = io.Copy(conn, far)
}

func (p *proxy) host() (host, port string) {
	host, port, _ = net.SplitHostPort(p.Addr().String())
	return host, port
}

// A client gets through a proxy with a login from a file, or from a person when the proxy wants one, and says so when it does not.
func TestThroughHTTPProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		login string // the proxy's
		file  string
		args  []string
		line  string
		asked string // first and last
	}{
		{"no login", "", "", nil, "Initialization Sequence Completed", "200 "},
		{"a file", "joe:secret", "joe\nsecret\n", []string{"basic"}, "Initialization Sequence Completed", "200 joe:secret"},
		{"typed when it is wanted", "typed:typed", "", []string{"auto"}, "Initialization Sequence Completed", "407 , 200 typed:typed"},
		{"a wrong file", "joe:secret", "joe\nwrong\n", []string{"basic"}, "SIGUSR1[soft,", "407 joe:wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, tt.login)
			host, port := p.host()
			b := newBoth(t, "tcp-server")
			b.serve()
			args := []string{"--http-proxy", host, port}
			if tt.file != "" {
				args = append(args, b.write("proxy-login", tt.file))
			}
			b.connect(append(args, tt.args...)...)
			b.lines(b.client, tt.line, 1)
			p.mu.Lock()
			defer p.mu.Unlock()
			if got := strings.Join(p.asked, ", "); !strings.HasPrefix(got, tt.asked) {
				t.Errorf("the proxy was asked %q, want %q", got, tt.asked)
			}
		})
	}
}

// An encrypted key opens with its passphrase, from a file or typed, and not with another one.
func TestEncryptedKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, passphrase string
		args             func(b *both) []string
		line             string
		ends             bool
	}{
		{"a file", "sesame", func(b *both) []string { return []string{"--askpass", b.write("pass", "sesame\n")} }, "Initialization Sequence Completed", false},
		{"typed", "typed", func(*both) []string { return nil }, "Initialization Sequence Completed", false},
		{"a wrong file", "sesame", func(b *both) []string { return []string{"--askpass", b.write("pass", "mellon\n")} }, "Private Key", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			key, err := b.leaf.EncryptedKey(tt.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			b.write("client.key", string(key))
			b.serve()
			b.connect(tt.args(b)...)
			if tt.ends {
				if stop := b.ended(b.client); stop.Err == nil {
					t.Errorf("ended by %v, not by an error", stop.Signal)
				}
				return
			}
			b.lines(b.client, tt.line, 1)
		})
	}
}

// Another network below the link: the session goes on from a new socket, and where that cannot be the client connects again.
func TestNetworkChangeWhileConnected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		proto string
		same  bool
		line  string
	}{
		{"udp4", false, "Network changed, going on from a new socket"},
		{"tcp-server", false, "SIGUSR1[soft,network-change] received, process restarting"},
		{"udp4", true, ""},
	} {
		t.Run(fmt.Sprint(tt.proto, " ", tt.same), func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, tt.proto)
			b.serve()
			b.connect()
			b.up()
			before, _ := b.out.Traffic()
			b.out.NetworkChange(tt.same)
			if tt.line != "" {
				b.lines(b.client, tt.line, 1)
			}
			b.await("the server hears us again", func() bool { n, _ := b.out.Traffic(); return n.Out > before.Out })
			if tt.same && strings.Contains(b.client.log.String(), "Network changed") {
				t.Error("the same network made a new socket")
			}
		})
	}
}

// Packets of others are told about, at most once a second, and change nothing.
func TestForeignControlPackets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, option, line string }{
		{"plain", "", "TLS Error: "},
		{"tls-auth", "--tls-auth", "Authenticate/Decrypt packet error: packet HMAC authentication failed"},
		{"tls-crypt", "--tls-crypt", "tls-crypt unwrap error: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			var extra []string
			if tt.option != "" {
				extra = []string{tt.option, b.write("static.key", staticKeyText)}
			}
			b.serve(extra...)
			b.connect(append([]string{"--float"}, extra...)...)
			b.up()
			conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", b.out.live.Load().link.LocalAddr().Port()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			junk := append([]byte{wire.Header(wire.OpControlV1, 0)}, strings.Repeat("x", 80)...)
			b.await(tt.line, func() bool {
				_, _ = conn.Write(junk)
				return strings.Contains(b.client.log.String(), tt.line)
			})
			if b.client.gone || strings.Contains(b.client.log.String(), "process restarting") {
				t.Error("a foreign packet ended the connection")
			}
		})
	}
}

// A peer with a static key says goodbye in the data channel.
func TestPeerSaysGoodbye(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "udp4")
	key := b.write("static.key", staticKeyText)
	peer := func(own, other string) *running {
		return b.peer("--local", b.addr, "--lport", own, "--remote", b.addr, other, "--proto", "udp4", "--secret", key, "--cipher", "AES-256-CBC", "--ping", "1", "--explicit-exit-notify", "1")
	}
	one, two := peer("31200", "31201"), peer("31201", "31200")
	for _, r := range []*running{one, two} {
		b.lines(r, "Initialization Sequence Completed", 1)
	}
	two.sig.Raise(engine.Stop{Signal: engine.TERM})
	b.lines(two, "SIGTERM received, sending exit notification to peer", 1)
	b.lines(one, "SIGUSR1[soft,remote-exit] received, process restarting", 1)
}

// A peer waits for a TCP connection, and for the next one after its end.
func TestPeerListens(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "udp4")
	common := []string{"--verb", "4", "--ca", b.file("ca.crt"), "--dh", "none"}
	one := b.peer(append(common, "--tls-server", "--local", b.addr, "--lport", "31202", "--proto", "tcp-server", "--cert", b.file("server.crt"), "--key", b.file("server.key"))...)
	b.lines(one, "Listening for incoming TCP connection on", 1)
	call := append(common[:len(common):len(common)], "--tls-client", "--remote", "localhost", "31202", "--proto", "tcp-client", "--cert", b.file("client.crt"), "--key", b.file("client.key"), "--connect-retry", "1", "1", "--ip-remote-hint", b.addr)
	two := b.peer(call...)
	b.lines(two, "Initialization Sequence Completed", 1)
	b.end(two, engine.TERM)
	b.lines(one, "Listening for incoming TCP connection on", 2)
	two = b.peer(call...)
	b.lines(two, "Peer Connection Initiated", 1)
}
