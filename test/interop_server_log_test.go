//go:build linux

package test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// logStage is where one server plays a situation.
type logStage struct {
	*lab
	s    *daemontest.Process
	m    *client.Client       // of the management port, nil without one
	told *client.Subscription // CLIENT notifications
	at   int                  // lines of the log that were waited for
}

// await waits for the next line of the server's log with text in it.
func (g *logStage) await(t *testing.T, text string) {
	t.Helper()
	g.s.WaitLineAfter(t, g.at, text, upLimit)
	for n, line := range strings.Split(g.s.Log(), "\n") {
		if n >= g.at && strings.Contains(line, text) {
			g.at = n + 1
			return
		}
	}
}

// settled waits for what is logged last about a client that came.
func (g *logStage) settled(t *testing.T) {
	t.Helper()
	g.await(t, "Protocol options: ")
}

// connect starts a stock client.
func (g *logStage) connect(t *testing.T, extra ...string) *daemontest.Process {
	t.Helper()
	return stock(t, g.client, g.clientArgs(g.paths(extra)...))
}

// visit is a client that comes, is pinged and goes with a word.
func (g *logStage) visit(t *testing.T, extra ...string) {
	t.Helper()
	c := g.connect(t, append([]string{"--explicit-exit-notify", "1"}, extra...)...)
	c.WaitLine(t, up, upLimit)
	ping(t, g.client, "10.8.0.1", 2, 0, "0.1")
	c.Stop(t)
	g.await(t, "client-instance exiting")
}

// asked waits for a CLIENT notification and returns its client and key id.
func (g *logStage) asked(t *testing.T, what string) (cid, kid string) {
	t.Helper()
	for {
		n, err := notified(t, g.told)
		if err != nil {
			t.Fatal(err)
		}
		if f := strings.Split(n.Text, ","); f[0] == what {
			return f[1], strings.Join(f[2:], ",")
		}
	}
}

// situation is what a server logs about. It begins with a server that is up and ends with SIGTERM.
type situation struct {
	name   string
	server []string
	port   bool // has a management port
	files  func(t *testing.T, l *lab)
	play   func(t *testing.T, g *logStage)
}

var situations = []situation{
	{name: "start and stop", play: func(*testing.T, *logStage) {}},
	{name: "start and stop with everything", server: []string{
		"--server-ipv6", "fd08::/64", "--route", "10.70.0.0", "255.255.0.0", "--route-ipv6", "fd70::/48", "--script-security", "2",
		"--client-to-client", "--duplicate-cn", "--push", "route 10.71.0.0 255.255.0.0", "--tls-auth", "ta.key", "0", "--cipher", "AES-256-CBC",
	}, play: func(*testing.T, *logStage) {}},
	{name: "client", play: func(t *testing.T, g *logStage) { g.visit(t) }},
	{name: "client that terminates", play: func(t *testing.T, g *logStage) {
		g.connect(t).WaitLine(t, up, upLimit)
		g.settled(t)
	}},
	{name: "net30", server: []string{"--topology", "net30"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--explicit-exit-notify", "1")
		c.WaitLine(t, up, upLimit)
		c.Stop(t)
		g.await(t, "client-instance exiting")
	}},
	{name: "ipv6", server: []string{"--server-ipv6", "fd08::/64"}, play: func(t *testing.T, g *logStage) { g.visit(t) }},
	{name: "ipv6 outside", server: []string{"--proto", "udp6"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--proto", "udp6", "--remote", "fd99::1", "1194")
	}},
	{name: "tls-crypt", server: []string{"--tls-crypt", "ta.key"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--tls-crypt", "ta.key")
	}},
	{name: "tcp", server: []string{"--proto", "tcp-server"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--proto", "tcp-client")
		c.WaitLine(t, up, upLimit)
		g.settled(t)
		c.Stop(t)
		g.await(t, "client-instance restarting")
	}},
	{name: "cbc", server: []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--data-ciphers", "AES-256-CBC", "--auth", "SHA256")
	}},
	{name: "no common cipher", server: []string{"--data-ciphers", "AES-256-CBC"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--data-ciphers", "AES-128-GCM")
		c.WaitLine(t, "AUTH_FAILED", upLimit)
		g.await(t, "client-instance")
	}},
	{name: "ccd", server: []string{"--client-config-dir", "ccd"}, files: func(t *testing.T, l *lab) {
		if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
			t.Fatal(err)
		}
		l.write(t, "ccd/client1", []byte("ifconfig-push 10.8.0.77 255.255.255.0\niroute 10.72.0.0 255.255.0.0\npush \"route 10.73.0.0 255.255.0.0\"\n"))
	}, play: func(t *testing.T, g *logStage) { g.visit(t) }},
	{name: "ccd disable", server: []string{"--client-config-dir", "ccd"}, files: func(t *testing.T, l *lab) {
		if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
			t.Fatal(err)
		}
		l.write(t, "ccd/client1", []byte("disable\n"))
	}, play: func(t *testing.T, g *logStage) {
		g.connect(t).WaitLine(t, "AUTH_FAILED", upLimit)
		g.await(t, "client-instance")
	}},
	{name: "password accepted", server: []string{"--script-security", "3", "--auth-user-pass-verify", "ok.sh", "via-env"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--auth-user-pass", g.login(t, "user1", "pass"))
	}},
	{name: "user name as common name", server: []string{"--script-security", "2", "--auth-user-pass-verify", "ok.sh", "via-file", "--username-as-common-name", "--verify-client-cert", "none"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--auth-user-pass", g.login(t, "user1", "pass"))
	}},
	{name: "password refused", server: []string{"--script-security", "2", "--auth-user-pass-verify", "no.sh", "via-file"}, play: func(t *testing.T, g *logStage) {
		g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass")).WaitLine(t, "AUTH_FAILED", upLimit)
		g.await(t, "client-instance")
	}},
	{name: "password missing", server: []string{"--script-security", "2", "--auth-user-pass-verify", "ok.sh", "via-file"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t)
		g.await(t, "TLS handshake failed")
		g.await(t, "client-instance")
		c.Stop(t)
	}},
	{name: "password deferred", server: []string{"--script-security", "2", "--auth-user-pass-verify", "defer.sh", "via-file"}, play: func(t *testing.T, g *logStage) {
		g.visit(t, "--auth-user-pass", g.login(t, "user1", "pass"))
	}},
	{name: "password deferred and refused", server: []string{"--script-security", "2", "--auth-user-pass-verify", "deferno.sh", "via-file"}, play: func(t *testing.T, g *logStage) {
		g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass")).WaitLine(t, "AUTH_FAILED", upLimit)
		g.await(t, "client-instance")
	}},
	{name: "token", server: []string{"--script-security", "2", "--auth-user-pass-verify", "ok.sh", "via-file", "--auth-gen-token", "--reneg-sec", "6", "6", "--hand-window", "2"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass"), "--explicit-exit-notify", "1")
		g.await(t, "auth-token authentication succeeded")
		g.await(t, "Control Channel: TLSv")
		c.Stop(t)
		g.await(t, "client-instance exiting")
	}},
	{name: "port admits", server: []string{"--management-client-auth"}, port: true, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass"), "--explicit-exit-notify", "1")
		cid, kid := g.asked(t, "CONNECT")
		g.await(t, "Peer Connection Initiated")
		if _, err := g.m.Block(t.Context(), "client-auth "+cid+" "+kid, []string{"ifconfig-push 10.8.0.77 255.255.255.0"}); err != nil {
			t.Fatal(err)
		}
		c.WaitLine(t, up, upLimit)
		c.Stop(t)
		g.await(t, "client-instance exiting")
	}},
	{name: "port refuses", server: []string{"--management-client-auth"}, port: true, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass"))
		cid, kid := g.asked(t, "CONNECT")
		g.await(t, "Peer Connection Initiated")
		do(t, g.m, "client-deny", cid, kid, "for the log", "for the client")
		c.WaitLine(t, "AUTH_FAILED", upLimit)
		g.await(t, "client-instance")
	}},
	{name: "port asks further", server: []string{"--management-client-auth"}, port: true, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--auth-user-pass", g.login(t, "user1", "pass"), "--explicit-exit-notify", "1")
		cid, kid := g.asked(t, "CONNECT")
		g.await(t, "Peer Connection Initiated")
		do(t, g.m, "client-pending-auth", cid, kid, "CR_TEXT:R,E:Code", "20")
		c.WaitLine(t, "AUTH_PENDING", upLimit)
		do(t, g.m, "client-auth-nt", cid, kid)
		c.WaitLine(t, up, upLimit)
		c.Stop(t)
		g.await(t, "client-instance exiting")
	}},
	{name: "port ends clients", port: true, play: func(t *testing.T, g *logStage) {
		c := g.connect(t)
		c.WaitLine(t, up, upLimit)
		do(t, g.m, "client-kill", "0", "HALT")
		g.await(t, "client-instance")
		c = g.connect(t)
		c.WaitLine(t, up, upLimit)
		g.settled(t)
		do(t, g.m, "kill", "client1")
	}},
	{name: "renegotiation", server: []string{"--reneg-sec", "3", "3"}, play: func(t *testing.T, g *logStage) {
		g.connect(t, "--reneg-sec", "0").WaitLine(t, up, upLimit)
		g.await(t, "soft reset")
		g.await(t, "Control Channel: TLSv")
	}},
	{name: "renegotiation by the client", play: func(t *testing.T, g *logStage) {
		g.connect(t, "--reneg-sec", "3", "3").WaitLine(t, up, upLimit)
		g.settled(t)
		g.await(t, "Control Channel: TLSv")
	}},
	{name: "client that drops", server: []string{"--keepalive", "1", "2"}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t)
		c.WaitLine(t, up, upLimit)
		c.Signal(t, syscall.SIGKILL)
		g.await(t, "client-instance restarting")
	}},
	{name: "same name twice", play: func(t *testing.T, g *logStage) {
		c := g.connect(t)
		c.WaitLine(t, up, upLimit)
		g.settled(t)
		c.Signal(t, syscall.SIGKILL)
		c.Wait(t, upLimit)
		g.connect(t).WaitLine(t, up, upLimit)
		g.settled(t)
	}},
	{name: "wrong authority", files: foreignClient, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--cert", "foreign.crt", "--key", "foreign.key")
		g.await(t, "TLS handshake failed")
		g.await(t, "client-instance")
		c.Stop(t)
	}},
	{name: "certificate changed at a renewal", files: otherClient, play: func(t *testing.T, g *logStage) {
		g.renewAs(t, "client9", "", "")
		g.await(t, "client-instance")
	}},
	{name: "certificate changed at a renewal, another name", files: otherName, play: func(t *testing.T, g *logStage) {
		g.renewAs(t, "client9", "", "")
		g.await(t, "client-instance")
	}},
	{name: "user name changed at a renewal", server: []string{"--script-security", "2", "--auth-user-pass-verify", "ok.sh", "via-file"}, play: func(t *testing.T, g *logStage) {
		g.renewAs(t, "client", "first", "second")
		g.await(t, "client-instance")
	}},
	{name: "a further step that is not taken", server: []string{"--management-client-auth", "--hand-window", "20"}, port: true, play: func(t *testing.T, g *logStage) {
		p := g.puppet(t)
		p.user, p.pass = "carol", "x"
		go func() {
			cid, kid := g.asked(t, "CONNECT")
			g.s.WaitLine(t, "Peer Connection Initiated", upLimit)
			do(t, g.m, "client-pending-auth", cid, kid, "WEB_AUTH::https://example.org", "2")
		}()
		again := time.Now().Add(3 * time.Second)
		if err := p.play(upLimit, func() bool {
			if time.Now().After(again) {
				again = time.Now().Add(time.Second)
				_ = p.session.SendText("PUSH_REQUEST") // stock looks at the time when it hears something
			}
			return p.told("AUTH_FAILED")
		}); err != nil {
			t.Fatal(err)
		}
		g.await(t, "client-instance")
		if d := cmp.Diff([]string{"AUTH_PENDING,timeout 2", "INFO_PRE,WEB_AUTH::https://example.org", "AUTH_FAILED"}, p.texts); d != "" {
			t.Error(d)
		}
	}},
	{name: "tls-auth mismatch", server: []string{"--tls-auth", "ta.key", "0"}, files: func(t *testing.T, l *lab) {
		l.write(t, "other.key", bytes.ReplaceAll(pki.StaticKey(), []byte("0"), []byte("1")))
	}, play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--tls-auth", "other.key", "1", "--connect-retry", "30")
		g.await(t, "from [AF_INET]10.99.0.2")
		c.Stop(t)
	}},
	{name: "SIGUSR1", play: func(t *testing.T, g *logStage) {
		g.s.Signal(t, syscall.SIGUSR1)
		g.await(t, up)
	}},
	{name: "SIGHUP", server: []string{"--script-security", "2"}, play: func(t *testing.T, g *logStage) {
		g.s.Signal(t, syscall.SIGHUP)
		g.await(t, up)
	}},
	{name: "SIGUSR1 with a client", play: func(t *testing.T, g *logStage) {
		c := g.connect(t)
		c.WaitLine(t, up, upLimit)
		g.settled(t)
		g.s.Signal(t, syscall.SIGUSR1)
		g.await(t, up)
		c.Stop(t)
	}},
	{name: "SIGUSR2", play: func(t *testing.T, g *logStage) {
		c := g.connect(t, "--explicit-exit-notify", "1")
		c.WaitLine(t, up, upLimit)
		g.settled(t)
		g.s.Signal(t, syscall.SIGUSR2)
		g.await(t, "END")
		c.Stop(t)
		g.await(t, "client-instance exiting")
	}},
}

// logsAtOnce is how many daemons log side by side. They wait most of the time, so that it has nothing to do with the number
// of cores.
const logsAtOnce = 16

// The log of a server is an interface: our lines are those of stock, in its order.
func TestServerLogs(t *testing.T) {
	t.Parallel()
	daemontest.RequireRoot(t)
	var all sync.WaitGroup
	room := make(chan struct{}, logsAtOnce)
	for _, tt := range situations {
		all.Go(func() {
			t.Run(tt.name, func(t *testing.T) {
				var mu sync.Mutex // guards logs
				logs := make(map[string][]string)
				var both sync.WaitGroup
				for name := range compared {
					both.Go(func() {
						room <- struct{}{}
						defer func() { <-room }()
						t.Run(name, func(t *testing.T) {
							lines := tt.log(t, name)
							mu.Lock()
							defer mu.Unlock()
							logs[name] = lines
						})
					})
				}
				both.Wait()
				if t.Failed() {
					return
				}
				if d := cmp.Diff(strings.Join(logs["stock"], "\n"), strings.Join(logs["ours"], "\n")); d != "" {
					t.Errorf("the log differs (-stock +ours):\n%s", d)
				}
			})
		})
	}
	all.Wait()
}

// log plays the situation with one daemon and returns its log.
func (tt *situation) log(t *testing.T, program string) []string {
	t.Helper()
	g := &logStage{lab: newLab(t)}
	g.script(t, "ok.sh", "exit 0")
	g.script(t, "no.sh", "exit 1")
	g.script(t, "defer.sh", "(sleep 0.3; printf 1 > $auth_control_file) & exit 2")
	g.script(t, "deferno.sh", "(sleep 0.3; printf 0 > $auth_control_file) & exit 2")
	if tt.files != nil {
		tt.files(t, g.lab)
	}
	args := []string{"--suppress-timestamps"}
	for _, a := range g.paths(tt.server) {
		if strings.HasSuffix(a, ".sh") || a == "ccd" {
			a = g.file(a)
		}
		args = append(args, a)
	}
	if tt.port {
		args = append(args, "--management", g.file("port"), "unix")
	}
	if program == "ours" {
		args = append(args, "--reload-compat")
	}
	g.s = compared[program](t, g.server, g.serverArgs(args...))
	g.await(t, up)
	if tt.port {
		g.m = manage(t, g.file("port"))
		g.told = g.m.Subscribe(mgmt.KindClient)
	}
	tt.play(t, g)
	terminate(t, g.s)
	return settledLog(tt.name, g.s.Log(), g.dir)
}

// foreignClient makes a certificate of an authority that the server does not know.
func foreignClient(t *testing.T, l *lab) {
	t.Helper()
	foreign, err := pki.NewCA("Foreign CA")
	if err != nil {
		t.Fatal(err)
	}
	(&lab{dir: l.dir, ca: foreign}).issue(t, "foreign", pki.Spec{Name: "client9"})
}

// otherClient makes another certificate of the same name, otherName one of another.
func otherClient(t *testing.T, l *lab) { l.issue(t, "client9", pki.Spec{Name: "client1"}) }
func otherName(t *testing.T, l *lab)   { l.issue(t, "client9", pki.Spec{Name: "client9"}) }

// puppet is a client that says what the situation wants.
func (g *logStage) puppet(t *testing.T) *puppet {
	t.Helper()
	p, err := g.newPuppet(openUDP(t, g.client, "", "10.99.0.1:1194"), "", strings.Replace(usual, "990", "478", 1)) // no dynamic tls-crypt
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.session.Close)
	return p
}

// renewAs has a client connect as user first and renew its key with another certificate, and as user second.
func (g *logStage) renewAs(t *testing.T, certificate, first, second string) {
	t.Helper()
	other, err := tls.LoadX509KeyPair(g.file(certificate+".crt"), g.file(certificate+".key"))
	if err != nil {
		t.Fatal(err)
	}
	p := g.puppet(t)
	p.user, p.pass = first, "x"
	if err := p.play(upLimit, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	p.cert, p.user = other, second
	g.settled(t)
	_ = p.play(1500*time.Millisecond, func() bool { return false }) // we take one renewal a second
	if err := p.session.Renegotiate(time.Now()); err != nil {
		t.Fatal(err)
	}
	_ = p.play(8*time.Second, func() bool { return p.told("AUTH_FAILED") }) // stock tells some of them nothing
	if d := cmp.Diff([]string{"AUTH_FAILED"}, p.texts[1:]); d != "" {
		t.Error(d)
	}
}

// logMasks replace what differs from run to run or by nature.
var logMasks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\b(10\.99\.0\.2|fd99::2)(\]?):\d+`), "$1$2:<port>"},
	{regexp.MustCompile(`sid=[0-9a-f]{8} [0-9a-f]{8}`), "sid=<sid>"},
	{regexp.MustCompile(`soft reset sec=\d+/(\d+) bytes=\d+/-1 pkts=\d+/0`), "soft reset sec=<n>/$1 bytes=<n>/-1 pkts=<n>/0"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "<date>"},
	{regexp.MustCompile(`^(client1,10\.99\.0\.2:<port>),\d+,\d+,`), "$1,<n>,<n>,"},
	{regexp.MustCompile(`SESS_ID_AT_[\w+/=-]+`), "<token>"},
	{regexp.MustCompile(`TLSv1\.3 TLS_AES_(128_GCM_SHA256|256_GCM_SHA384)`), "TLSv1.3 <suite>"},
	{regexp.MustCompile(`peer temporary key: .*`), "peer temporary key: <key>"},
	{regexp.MustCompile(`Socket Buffers: .*`), "Socket Buffers: <n>"},
}

// logDiffers are the lines that may differ, on either side, and why.
var logDiffers = []struct {
	re  *regexp.Regexp
	why string
	of  string // situations whose names begin so; "" for all
}{
	{regexp.MustCompile(`^OpenVPN 2\.\d|^library versions: |^DCO version: |ovpn-dco|disables data channel offload`), "who we are, and what we have", ""},
	{regexp.MustCompile(`^event_wait : `), "a signal interrupts no call of ours", ""},
	{regexp.MustCompile(`(read|write) UDPv[46]+ \[ECONNREFUSED\]`), "we do not report what hosts say about ports of clients that are gone", ""},
	{regexp.MustCompile(`^net_route_v[46]_best_gw |^sitnl_send: rtnl: `), "we ask for the gateway when a route needs it, and less often", ""},
	{regexp.MustCompile(`PUSH: Received control message: 'PUSH_REQUEST'$`), "comes or not by the moment", ""},
	{regexp.MustCompile(`SENT CONTROL \[UNDEF\]: 'AUTH_FAILED`), "stock sends it in a session that is not there, too", ""},
	{regexp.MustCompile(`Sent fatal SSL alert: `), "the TLS library does not tell its alerts", ""},
	{regexp.MustCompile(`^Restart pause, 1 second\(s\)$`), "on SIGHUP we start again at once", "SIGHUP"},
	{regexp.MustCompile(`^MULTI_sva: pool returned `), "who has an address of its own takes none of the pool; and who is refused neither", "ccd"},
	{regexp.MustCompile(`^MULTI_sva: pool returned `), "as with ccd", "port admits"},
	{regexp.MustCompile(`^MULTI: (Learn|primary)`), "who is refused gets no route", "no common cipher"},
	{regexp.MustCompile(`Data Channel: `), "stock names the peer-id of the one that went", "same name twice"},
}

// nameless are the lines in front of which stock leaves out the client when it acts for the management port or for a client
// that takes another one's place. We always name it.
var nameless = regexp.MustCompile(`^\S*10\.99\.0\.2:<port> ((?:MULTI: (?:new connection|connection rejected|Learn|primary)|MULTI_sva|SENT CONTROL|Delayed exit|Authenticate/Decrypt|TLS Error: incoming packet).*)`)

// negotiated are the lines about the data channel, which stock writes up to a second after the others.
var negotiated = regexp.MustCompile(`^\S+ (?:Data Channel|Timers|Protocol options): `)

// settledLog is a log as lines that compare.
func settledLog(situation, text, dir string) []string {
	var out, late []string
lines:
	for line := range strings.Lines(strings.ReplaceAll(text, dir, "<dir>")) {
		line = strings.TrimRight(line, "\n")
		for _, m := range logMasks {
			line = m.re.ReplaceAllString(line, m.to)
		}
		if m := nameless.FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		for _, d := range logDiffers {
			if strings.HasPrefix(situation, d.of) && d.re.MatchString(line) {
				continue lines
			}
		}
		if negotiated.MatchString(line) {
			late = append(late, line)
			continue
		}
		out = append(out, line)
	}
	return append(out, late...)
}
