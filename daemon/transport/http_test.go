package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tcpServer runs a one-connection server and gives its address.
func tcpServer(t *testing.T, serve func(c net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return addrPort(ln.Addr())
}

func TestDialHonoursContext(t *testing.T) {
	stuck := tcpServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }) // a proxy that never answers
	for _, cfg := range []DialConfig{{HTTP: &HTTPProxy{}}, {SOCKS: &SOCKSProxy{}}} {
		cfg.Remote, cfg.TargetHost, cfg.TargetPort = stuck, "10.1.1.1", 1194
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := DialTCP(ctx, cfg)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's end", err)
		}
	}
}

// script answers requests read up to an empty line, one answer per connection, and records them.
func script(t *testing.T, got *[]string, answers ...string) netip.AddrPort {
	return tcpServer(t, func(c net.Conn) {
		var req strings.Builder
		buf := make([]byte, 1)
		for !strings.HasSuffix(req.String(), "\r\n\r\n") {
			if _, err := c.Read(buf); err != nil {
				return
			}
			req.Write(buf)
		}
		*got = append(*got, req.String())
		i := min(len(*got), len(answers)) - 1
		_, _ = c.Write([]byte(answers[i]))
		_ = c.(*net.TCPConn).CloseWrite()
	})
}

func TestHTTPProxy(t *testing.T) {
	const (
		ok        = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n\x00\x03abc"
		digest    = "HTTP/1.0 407 Auth\r\nProxy-Authenticate: Basic realm=\"b\"\r\nproxy-authenticate: Digest realm=\"r, x\", nonce=\"abc\", qop=\"auth,auth-int\", opaque=\"o\"\r\n\r\n"
		basic     = "HTTP/1.0 407 Auth\r\nProxy-Authenticate: Basic realm=\"b\"\r\n\r\n"
		ntlm      = "HTTP/1.0 407 Auth\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n"
		basicSent = "Proxy-Authorization: Basic dTpw\r\n"
	)
	ask := func(context.Context, bool) (string, string, error) { return "u", "p", nil }
	askTwice := func(_ context.Context, refused bool) (string, string, error) {
		if !refused {
			return "u", "wrong", nil
		}
		return "u", "p", nil
	}
	tests := []struct {
		name    string
		proxy   HTTPProxy
		answers []string
		want    string // in the last request
		not     string
		err     string
		again   bool // the error asks for credentials
	}{
		{name: "no auth", answers: []string{ok}, want: "CONNECT vpn.example:1194 HTTP/1.0\r\nHost: vpn.example\r\n\r\n"},
		{
			name: "headers", proxy: HTTPProxy{Version: "1.1", Agent: "me", Headers: []string{"Host: other", "X-A: b"}}, answers: []string{ok},
			want: "CONNECT vpn.example:1194 HTTP/1.1\r\nHost: other\r\nX-A: b\r\nUser-Agent: me\r\n\r\n",
		},
		{name: "basic at once", proxy: HTTPProxy{Auth: HTTPAuthBasic, Username: "u", Password: "p"}, answers: []string{ok}, want: basicSent},
		{name: "basic asked", proxy: HTTPProxy{Auth: HTTPAuthBasic, Credentials: ask}, answers: []string{ok}, want: basicSent},
		{name: "basic refused", proxy: HTTPProxy{Auth: HTTPAuthBasic, Username: "u", Password: "p"}, answers: []string{basic}, err: "HTTP proxy: user name or password refused", again: true},
		{name: "auto takes digest", proxy: HTTPProxy{Auth: HTTPAuthAuto, Credentials: ask}, answers: []string{digest, ok}, want: `Proxy-Authorization: Digest username="u", realm="r, x", nonce="abc", uri="vpn.example:1194", qop=auth, nc=00000001, cnonce=`},
		{name: "auto falls to basic", proxy: HTTPProxy{Auth: HTTPAuthAuto, Credentials: ask}, answers: []string{basic, ok}, want: basicSent},
		{name: "no clear text", proxy: HTTPProxy{Auth: HTTPAuthAutoNCT, Credentials: ask}, answers: []string{basic}, err: "HTTP proxy: support for basic auth"},
		{name: "auto asks again", proxy: HTTPProxy{Auth: HTTPAuthAuto, Credentials: askTwice}, answers: []string{basic, basic, ok}, want: basicSent},
		{name: "auto refused", proxy: HTTPProxy{Auth: HTTPAuthAuto, Username: "u", Password: "p"}, answers: []string{basic, basic}, err: "HTTP proxy: user name or password refused", again: true},
		{name: "digest", proxy: HTTPProxy{Auth: HTTPAuthDigest, Username: "u", Password: "p"}, answers: []string{digest, ok}, want: `opaque="o"`, not: "Basic"},
		{name: "none but wanted", answers: []string{basic}, err: "HTTP proxy: no support for", again: true},
		{name: "nobody to ask", proxy: HTTPProxy{Auth: HTTPAuthAuto}, answers: []string{digest}, err: "HTTP proxy wants a user name and password", again: true},
		{name: "ntlm configured", proxy: HTTPProxy{Auth: HTTPAuthNTLM2}, answers: []string{ok}, err: "HTTP proxy: authentication method ntlm2 is not supported, use basic or digest"},
		{name: "ntlm offered", proxy: HTTPProxy{Auth: HTTPAuthAuto}, answers: []string{ntlm}, err: "HTTP proxy offers only NTLM"},
		{name: "forbidden", answers: []string{"HTTP/1.0 403 No\r\n\r\n"}, err: "HTTP proxy returned bad status: 'HTTP/1.0 403 No'"},
		{name: "not HTTP", answers: []string{"SSH-2.0\r\n\r\n"}, err: "HTTP proxy: answer is not HTTP"},
		{name: "cut off", answers: []string{"HTTP/1.0 200 OK\r\n"}, err: "read from HTTP proxy: EOF"},
		{name: "too long", answers: []string{"HTTP/1.0 200 OK\r\n" + strings.Repeat("A: b\r\n", 5000)}, err: "HTTP proxy: answer is too long"},
		{name: "endless line", answers: []string{strings.Repeat("x", 40000)}, err: "HTTP proxy: answer has an endless line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			addr := script(t, &got, tt.answers...)
			l, err := DialTCP(t.Context(), DialConfig{Remote: addr, HTTP: &tt.proxy, TargetHost: "vpn.example", TargetPort: 1194})
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("%v, want %s…", err, tt.err)
				}
				var pe *ProxyError
				if again := errors.As(err, &pe) && pe.Auth; again != tt.again {
					t.Errorf("asks for credentials: %v, want %v", again, tt.again)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, l)
			// The packet that came together with the proxy's answer is not lost.
			if _, pkts := receive(t, l, 1); string(pkts[0]) != "abc" {
				t.Errorf("first packet %q, want abc", pkts[0])
			}
			last := got[len(got)-1]
			if !strings.Contains(last, tt.want) || tt.not != "" && strings.Contains(last, tt.not) {
				t.Errorf("request %q, want %q in it and not %q", last, tt.want, tt.not)
			}
		})
	}
}

// The example of RFC 2617, section 3.5, with our method.
func TestDigest(t *testing.T) {
	p := HTTPProxy{Username: "Mufasa", Password: "Circle Of Life"}
	ch := parseChallenge(`realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`)
	// md5(md5("Mufasa:testrealm@host.com:Circle Of Life"):nonce:00000001:0a4f113b:auth:md5("CONNECT:/dir/index.html")),
	// calculated with md5sum.
	const want = `response="d5113f107a112176e9e0ecae750cb9f3"`
	if got := p.digest(ch, "/dir/index.html", "0a4f113b"); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseChallenge(t *testing.T) {
	got := parseChallenge(`realm="a \"b\", c" , nonce=xyz,STALE=false, empty="", open="end`)
	want := map[string]string{"realm": `a "b", c`, "nonce": "xyz", "stale": "false", "empty": "", "open": "end"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
