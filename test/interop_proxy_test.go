//go:build linux

package test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Ports of the proxies beside the server.
const (
	httpOpen    = "8888" // tinyproxy
	httpLocked  = "8889" // tinyproxy with a password; answers a wrong one with 401
	socksOpen   = "1080" // microsocks
	socksLocked = "1081" // microsocks with a password
	socksUDP    = "1082" // dante
)

// startProxies runs the proxies of a test on the server's host and waits until they listen.
func startProxies(t *testing.T, l *lab, ports ...string) {
	t.Helper()
	for _, port := range ports {
		switch port {
		case httpOpen, httpLocked:
			conf := "Port " + port + "\nListen 10.99.0.1\nTimeout 60\nLogLevel Warning\n"
			if port == httpLocked {
				conf += "BasicAuth proxyuser proxypass\n"
			}
			l.server.Start(t, "tinyproxy", "-d", "-c", l.write(t, "tinyproxy"+port+".conf", []byte(conf)))
		case socksOpen:
			l.server.Start(t, "microsocks", "-i", "10.99.0.1", "-p", port)
		case socksLocked:
			l.server.Start(t, "microsocks", "-i", "10.99.0.1", "-p", port, "-u", "proxyuser", "-P", "proxypass")
		case socksUDP:
			l.server.Start(t, "danted", "-p", l.file("danted.pid"), "-f", l.write(t, "danted.conf", []byte(
				"logoutput: stderr\ninternal: 10.99.0.1 port = 1082\nexternal: eth0\nsocksmethod: none\nclientmethod: none\n"+
					"client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n")))
		}
	}
	for _, port := range ports {
		listening(t, l.server, port)
	}
}

// listening waits until something listens on a TCP port.
func listening(t *testing.T, n *daemontest.Namespace, port string) {
	t.Helper()
	deadline := time.Now().Add(upLimit)
	for n.Run(t, "ss", "-Hlnt", "sport", "=", ":"+port) == "" {
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens on port %s", port)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// proxyCase is one way through a proxy, done by the stock client and by ours.
type proxyCase struct {
	name    string
	udp     bool
	args    []string
	ports   []string
	file    string   // credentials for the file "login"
	logins  []string // answers to prompts for credentials, one after the other: user/password
	choice  []string // the answer to >PROXY
	fails   bool     // ends with the first RECONNECTING
	again   bool     // connects a second time, after SIGUSR1
	differs []string // lines of stock's that ours has no counterpart for
}

// Proxies: the stock client and ours see the same states, prompts and log lines, and the tunnel works.
func TestProxiesLikeStock(t *testing.T) {
	t.Parallel()
	remote := func(kind, port string, more ...string) []string {
		return append([]string{"--" + kind + "-proxy", "10.99.0.1", port}, more...)
	}
	// Ours takes either family.
	forcing := []string{"NOTICE: dual-stack mode for '--proto udp' does not work correctly with '--socks-proxy' today.  Forcing IPv4."}
	for _, tt := range []proxyCase{
		{name: "http", args: remote("http", httpOpen), ports: []string{httpOpen}},
		{name: "http, basic, file", args: remote("http", httpLocked, "login", "basic"), ports: []string{httpLocked}, file: "proxyuser\nproxypass\n"},
		{name: "http, basic, wrong", args: remote("http", httpLocked, "login", "basic"), ports: []string{httpLocked}, file: "proxyuser\nwrong\n", fails: true},
		{name: "http, nothing given", args: remote("http", httpLocked), ports: []string{httpLocked}, fails: true},
		{name: "http, nobody there", args: remote("http", "8887"), fails: true},
		{name: "http, target refused", args: append(remote("http", httpOpen), "--remote", "10.99.0.1", "9"), ports: []string{httpOpen}, fails: true},
		{
			name: "http, inline, auto", args: append(remote("http", httpLocked, "auto"), "--config", "inline.conf"), ports: []string{httpLocked},
			differs: []string{`HTTP proxy authenticate 'realm="Tinyproxy"'`},
		},
		{
			name: "http, asked", args: append(remote("http", httpLocked, "auto"), "--management-query-passwords"), ports: []string{httpLocked}, again: true,
			logins: []string{"proxyuser/proxypass"}, differs: []string{`HTTP proxy authenticate 'realm="Tinyproxy"'`},
		},
		{
			name: "http, asked at once", args: append(remote("http", httpLocked, "stdin", "basic"), "--management-query-passwords"), again: true,
			ports: []string{httpLocked}, logins: []string{"proxyuser/proxypass"},
		},
		{
			name: "http, asked, auth-nocache", args: append(remote("http", httpLocked, "stdin", "basic"), "--management-query-passwords", "--auth-nocache"), again: true,
			ports: []string{httpLocked}, logins: []string{"proxyuser/proxypass", "proxyuser/proxypass"},
		},
		{
			name: "query, http, asked", args: []string{"--management-query-proxy", "--management-query-passwords"}, ports: []string{httpLocked},
			choice: []string{"proxy", "HTTP", "10.99.0.1", httpLocked}, logins: []string{"proxyuser/proxypass"},
			differs: []string{`HTTP proxy authenticate 'realm="Tinyproxy"'`},
		},
		{
			name: "query, http, nct", args: []string{"--management-query-proxy"}, ports: []string{httpLocked},
			choice: []string{"proxy", "HTTP", "10.99.0.1", httpLocked, "nct"}, fails: true,
			differs: []string{`PROXY AUTH BASIC: 'Proxy-Authenticate: Basic realm="Tinyproxy"'`, `HTTP proxy authenticate 'realm="Tinyproxy"'`},
		},
		{name: "query, none", args: []string{"--management-query-proxy"}, choice: []string{"proxy", "NONE"}},
		{name: "query, socks", args: []string{"--management-query-proxy"}, ports: []string{socksOpen}, choice: []string{"proxy", "SOCKS", "10.99.0.1", socksOpen}},
		{name: "socks", args: remote("socks", socksOpen), ports: []string{socksOpen}},
		{name: "socks, file", args: remote("socks", socksLocked, "login"), ports: []string{socksLocked}, file: "proxyuser\nproxypass\n"},
		{name: "socks, wrong", args: remote("socks", socksLocked, "login"), ports: []string{socksLocked}, file: "proxyuser\nwrong\n", fails: true},
		{name: "socks, nothing given", args: remote("socks", socksLocked), ports: []string{socksLocked}, fails: true},
		{
			name: "socks, asked, wrong first", args: append(remote("socks", socksLocked, "stdin"), "--management-query-passwords"),
			ports: []string{socksLocked}, logins: []string{"proxyuser/wrong", "proxyuser/proxypass", "proxyuser/proxypass"}, again: true,
		},
		{name: "socks, target refused", args: append(remote("socks", socksOpen), "--remote", "10.99.0.1", "9"), ports: []string{socksOpen}, fails: true},
		{name: "socks, udp", udp: true, args: remote("socks", socksUDP), ports: []string{socksUDP}, differs: forcing},
		{name: "socks, udp, no such command", udp: true, args: remote("socks", socksOpen), ports: []string{socksOpen}, fails: true, differs: forcing},
		{
			name: "query, socks, udp", udp: true, args: []string{"--management-query-proxy"}, ports: []string{socksUDP},
			choice: []string{"proxy", "SOCKS", "10.99.0.1", socksUDP},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			startProxies(t, l, tt.ports...)
			proto := []string{"tcp-server", "tcp-client"}
			if tt.udp {
				proto = []string{"udp", "udp"}
			}
			l.stockServer(t, "--proto", proto[0])
			l.write(t, "login", []byte(tt.file))
			l.write(t, "inline.conf", []byte("<http-proxy-user-pass>\nproxyuser\nproxypass\n</http-proxy-user-pass>\n"))
			args := slices.Clone(tt.args)
			for i, a := range args {
				if a == "login" || a == "inline.conf" {
					args[i] = l.file(a)
				}
			}
			args = append(args, "--proto", proto[1], "--nobind", "--management-hold", "--suppress-timestamps")
			want := tt.run(t, l, "stock.sock", stock, args)
			want = slices.DeleteFunc(want, func(s string) bool { return slices.Contains(tt.differs, s) })
			if diff := cmp.Diff(want, tt.run(t, l, "ours.sock", oursReleased, args)); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
		})
	}
}

// run starts a client, answers what it asks, and returns its notifications and then its log lines about the way to the
// server. The client is gone when it returns.
func (tt *proxyCase) run(
	t *testing.T, l *lab, sock string, start starter, args []string,
) []string {
	t.Helper()
	c := start(t, l.client, l.clientArgs(append(args, "--management", l.file(sock), "unix")...))
	m := manage(t, l.file(sock))
	sub := m.Subscribe(mgmt.KindState, mgmt.KindPassword, mgmt.KindProxy)
	do(t, m, "state", "on")
	do(t, m, "hold", "off")
	do(t, m, "hold", "release")
	var seen []string
	again := tt.again
	for logins := tt.logins; ; {
		n, err := notified(t, sub)
		if err != nil {
			t.Fatalf("%v, after %q\n%s", err, seen, c.Log())
		}
		switch {
		case n.Kind == mgmt.KindProxy:
			seen = append(seen, ">PROXY:"+n.Text)
			do(t, m, tt.choice...)
			continue
		case n.Kind == mgmt.KindPassword:
			seen = append(seen, ">PASSWORD:"+n.Text)
			if _, quoted, ok := strings.Cut(n.Text, "Need '"); ok {
				if len(logins) == 0 {
					t.Fatalf("asked once more, after %q\n%s", seen, c.Log())
				}
				answerLogin(t, m, strings.TrimSuffix(quoted, "' username/password"), logins[0])
				logins = logins[1:]
			}
			continue
		}
		_, state, _ := strings.Cut(n.Text, ",")
		if strings.HasPrefix(state, mgmt.StateGetConfig+",") {
			continue // as fast as the server
		}
		seen = append(seen, ">STATE:"+localPort.ReplaceAllString(state, "$1,PORT"))
		if strings.HasPrefix(state, mgmt.StateConnected+",") && !tt.fails {
			ping(t, l.client, "10.8.0.1", 3, 1, "0.1") // the first may come before the server has its keys
			if !again {
				break
			}
			again = false
			do(t, m, "signal", "SIGUSR1")
		}
		if strings.HasPrefix(state, mgmt.StateReconnecting+",") && tt.fails {
			break
		}
	}
	end := up
	if tt.fails {
		end = "process restarting"
	}
	last := c.WaitLine(t, end, upLimit) // the notification may be quicker than the log
	lines := strings.Split(c.Log(), "\n")
	lines = lines[:slices.Index(lines, last)+1]
	terminate(t, c)
	for _, line := range lines {
		if !wayLine.MatchString(line) || strings.HasPrefix(line, "MANAGEMENT:") || strings.Contains(line, "ata channel offload") {
			continue
		}
		line = relayPort.ReplaceAllString(line, "$1:PORT")
		line = ownDetail.ReplaceAllString(line, "$1") // what went wrong, where stock says only that
		if !slices.Contains(onlyOnce, line) || seen[len(seen)-1] != line {
			seen = append(seen, line)
		}
	}
	return seen
}

var (
	localPort = regexp.MustCompile(`(CONNECTED,.*,10\.99\.0\.2),\d+$`)
	wayLine   = regexp.MustCompile(`(?i)HTTP proxy|proxy auth|proxy-auth|socks|Attempting|TCP connection|link remote|process restarting|TCP: connect`)
	relayPort = regexp.MustCompile(`(send UDP to \[AF_INET\]10\.99\.0\.1):\d+`)
	ownDetail = regexp.MustCompile(`^(HTTP proxy returned bad status|socks_handshake: .* unexpected auth|recv_socks_reply: .* bad reply)[: ].*`)
	onlyOnce  = []string{"Proxy requires authentication"}
)

// answerLogin answers a prompt with "user/password".
func answerLogin(t *testing.T, m *client.Client, secret, login string) {
	t.Helper()
	user, pass, _ := strings.Cut(login, "/")
	do(t, m, "username", secret, user)
	do(t, m, "password", secret, pass)
}

// A wrong answer to >PROXY is refused and the prompt stays, unlike stock's, which then goes without a proxy.
func TestProxyPromptStays(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	startProxies(t, l, httpOpen)
	l.stockServer(t, "--proto", "tcp-server")
	sock := l.file("mgmt.sock")
	c := ours(t, l.client, l.clientArgs("--proto", "tcp-client", "--management-query-proxy", "--management", sock, "unix"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindProxy)
	if _, err := notified(t, sub); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"proxy FOO", "proxy HTTP", "proxy HTTP 10.99.0.1", "proxy HTTP 10.99.0.1 0", "proxy SOCKS 10.99.0.1 x", "proxy http 10.99.0.1 8888"} {
		if _, err := m.Cmd(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "proxy command failed") {
			t.Errorf("%s: %v, want a refusal", bad, err)
		}
	}
	do(t, m, "proxy", "HTTP", "10.99.0.1", httpOpen)
	c.WaitLine(t, up, upLimit)
	if line := c.WaitLine(t, "link remote", upLimit); !strings.HasSuffix(line, "[AF_INET]10.99.0.1:"+httpOpen) {
		t.Errorf("%q, want the proxy there", line)
	}
	terminate(t, c)
}

// A wrong password that the proxy answers with 401 is asked for again: the stock client would send it for ever.
func TestProxyPasswordRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	startProxies(t, l, httpLocked)
	l.stockServer(t, "--proto", "tcp-server")
	sock := l.file("mgmt.sock")
	c := ours(t, l.client, l.clientArgs("--proto", "tcp-client", "--http-proxy", "10.99.0.1", httpLocked, "stdin", "basic",
		"--management-query-passwords", "--management", sock, "unix"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindPassword)
	for _, login := range []string{"proxyuser/wrong", "proxyuser/proxypass"} {
		if n, err := notified(t, sub); err != nil || n.Text != "Need 'HTTP Proxy' username/password" {
			t.Fatal(n.Text, err)
		}
		answerLogin(t, m, "HTTP Proxy", login)
	}
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
}

// Time spent at a prompt is not time spent connecting, a wrong password is asked for again after 407, and a signal at the
// prompt ends the attempt.
func TestProxyPromptTakesItsTime(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	startProxies(t, l, httpLocked)
	l.stockServer(t, "--proto", "tcp-server")
	sock := l.file("mgmt.sock")
	c := ours(t, l.client, l.clientArgs("--proto", "tcp-client", "--http-proxy", "10.99.0.1", httpLocked, "auto", "--connect-timeout", "2",
		"--management-query-passwords", "--management", sock, "unix"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindPassword)
	need := func() {
		t.Helper()
		if n, err := notified(t, sub); err != nil || n.Text != "Need 'HTTP Proxy' username/password" {
			t.Fatal(n.Text, err)
		}
	}
	need()
	do(t, m, "signal", "SIGHUP")
	c.WaitLine(t, "SIGHUP[hard,init_instance] received, process restarting", upLimit)
	need()
	time.Sleep(2500 * time.Millisecond) // longer than connect-timeout
	answerLogin(t, m, "HTTP Proxy", "proxyuser/proxypass")
	c.WaitLine(t, up, upLimit)
	want := fmt.Sprintf("TCPv4_CLIENT link remote: [AF_INET]10.99.0.1:%s", httpLocked)
	c.WaitLine(t, want, upLimit)
	terminate(t, c)
}
