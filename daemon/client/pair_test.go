package client

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf/netconftest"
	"github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	mgmtserver "github.com/moongate-vpn/moongate/mgmt/server"
)

// both is a server and a client in this process, on loopback and without devices: whole engines, no root.
type both struct {
	t      *testing.T
	dir    string
	proto  string
	addr   string
	server *running
	client *running
	vpn    *server.Server
	events *clientEvents
	out    *Client
	in     *recorded // by the server
	leaf   *pki.Leaf // the client's
	rec    *recorded // by the client

	serverPackets, clientPackets engine.Offload // nil: carried by the engines
}

// running is an engine with its log.
type running struct {
	log  *daemontest.Log
	sig  *engine.Signals
	done chan engine.Stop
	stop engine.Stop
	gone bool
}

// newBoth makes the keys of a pair.
func newBoth(t *testing.T, proto string) *both {
	t.Helper()
	b := &both{t: t, dir: t.TempDir(), proto: proto, addr: daemontest.Loopback(), events: new(clientEvents), in: new(recorded), rec: new(recorded)}
	b.leaf = daemontest.WriteKeys(t, b.dir)
	return b
}

func (b *both) file(name string) string { return filepath.Join(b.dir, name) }

func (b *both) write(name, text string) string {
	b.t.Helper()
	if err := os.WriteFile(b.file(name), []byte(text), 0o700); err != nil {
		b.t.Fatal(err)
	}
	return b.file(name)
}

// parse parses options; the device is none, and so needs no root.
func (b *both) parse(args []string) *config.Options {
	b.t.Helper()
	o, err := config.Parse(args, config.Env{})
	if err != nil {
		b.t.Fatal(err)
	}
	o.Dev, o.DevType = "null", config.DevNull
	return o
}

func (b *both) start(run func(ctx context.Context) engine.Stop, r *running) {
	r.done = make(chan engine.Stop, 1)
	go func() { r.done <- run(context.Background()) }()
	b.t.Cleanup(func() {
		b.end(r, engine.TERM)
		if b.t.Failed() {
			b.t.Logf("log:\n%s", r.log)
		}
	})
}

// serve starts the server.
func (b *both) serve(extra ...string) {
	b.t.Helper()
	r := &running{log: new(daemontest.Log), sig: engine.NewSignals()}
	o := b.parse(append([]string{
		"--mode", "server", "--tls-server", "--dev", "tun", "--topology", "subnet", "--server", "10.8.0.0", "255.255.255.0", "--ifconfig-noexec", "--route-noexec",
		"--local", b.addr, "--port", "31195", "--proto", b.proto, "--dh", "none", "--verb", "4", "--ca", b.file("ca.crt"), "--cert", b.file("server.crt"), "--key", b.file("server.key"),
	}, extra...))
	b.vpn = server.New(server.Deps{
		Options: o, Log: logging.New(logging.Config{Stdout: r.log, Stderr: r.log, Verb: o.Verb}), Port: b.events, Signals: r.sig, Journal: b.in,
		Hooks: &hooks.Runner{Security: o.ScriptSecurity, Stdout: r.log, Stderr: r.log}, Env: hooks.NewEnv(), Totals: new(engine.Totals), Net: new(netconftest.Fake), Offload: b.serverPackets,
	})
	b.server = r
	b.start(b.vpn.Run, r)
	b.await("the server serves", b.vpn.Serving)
}

// connect starts the client.
func (b *both) connect(extra ...string) {
	b.t.Helper()
	r := &running{log: new(daemontest.Log), sig: engine.NewSignals()}
	proto := b.proto
	if proto == "tcp-server" {
		proto = "tcp-client"
	}
	o := b.parse(append([]string{
		"--client", "--dev", "tun", "--remote", b.addr, "31195", "--proto", proto, "--nobind", "--verb", "4", "--ca", b.file("ca.crt"), "--cert", b.file("client.crt"), "--key", b.file("client.key"),
		"--connect-retry", "1", "1", "--ifconfig-noexec", "--route-noexec",
	}, extra...))
	secrets := new(Secrets)
	secrets.Configure(o.AuthRetry)
	b.out = New(Deps{
		Options: o, Port: mgmtserver.New(mgmtserver.Config{Unreachable: true}), Log: logging.New(logging.Config{Stdout: r.log, Stderr: r.log, Verb: o.Verb}), Signals: r.sig, Secrets: secrets, Journal: b.rec,
		Hooks: &hooks.Runner{Security: o.ScriptSecurity, Stdout: r.log, Stderr: r.log}, Env: hooks.NewEnv(), Totals: new(engine.Totals), Net: new(netconftest.Fake), Version: "2.6.14", Offload: b.clientPackets,
		Console: func(context.Context, string, bool) (string, error) { return "typed", nil },
	})
	b.client = r
	b.start(b.out.Run, r)
}

// up waits for the connection.
func (b *both) up() {
	b.t.Helper()
	b.lines(b.client, "Initialization Sequence Completed", 1)
}

// lines waits until a log has a text n times.
func (b *both) lines(r *running, text string, n int) {
	b.t.Helper()
	b.await(fmt.Sprintf("%q, %d times", text, n), func() bool { return r.log.Count(text) >= n })
}

func (b *both) await(what string, ok func() bool) {
	b.t.Helper()
	daemontest.Await(b.t, what, ok)
}

// end ends an engine with a signal, and returns why it ended.
func (b *both) end(r *running, sig engine.Signal) engine.Stop {
	if r.gone {
		return r.stop
	}
	r.sig.Raise(engine.Stop{Signal: sig})
	return b.ended(r)
}

// ended waits for an engine to end on its own.
func (b *both) ended(r *running) engine.Stop {
	b.t.Helper()
	select {
	case r.stop = <-r.done:
		r.gone = true
	case <-time.After(20 * time.Second):
		b.t.Errorf("an engine does not end:\n%s", r.log)
	}
	return r.stop
}

// clientEvents is a server's port that remembers the newest client.
type clientEvents struct{ cid, kid atomic.Uint64 }

func (p *clientEvents) note(e mgmtserver.ClientEvent) { p.cid.Store(e.CID); p.kid.Store(e.KID) }

func (p *clientEvents) State(mgmt.State)                                    {}
func (p *clientEvents) Notify(string, string)                               {}
func (p *clientEvents) UpDown(bool, []string)                               {}
func (p *clientEvents) HoldFlag() bool                                      { return false }
func (p *clientEvents) Hold(context.Context, time.Duration) error           { return nil }
func (p *clientEvents) ClientConnect(e mgmtserver.ClientEvent)              { p.note(e) }
func (p *clientEvents) ClientReauth(e mgmtserver.ClientEvent)               { p.note(e) }
func (p *clientEvents) ClientEstablished(e mgmtserver.ClientEvent)          {}
func (p *clientEvents) ClientDisconnect(e mgmtserver.ClientEvent)           {}
func (p *clientEvents) Attended() bool                                      { return true }
func (p *clientEvents) ClientCRResponse(e mgmtserver.ClientEvent, _ string) {}
func (p *clientEvents) ClientAddress(uint64, netip.Prefix, bool)            {}

// A client's life with a server, over both kinds of links and under every wrapping.
func TestPairLives(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"udp4", "tcp4"} {
		for _, wrap := range []string{"plain", "tls-auth", "tls-crypt"} {
			t.Run(proto+"/"+wrap, func(t *testing.T) {
				t.Parallel()
				b := newBoth(t, map[string]string{"udp4": "udp4", "tcp4": "tcp-server"}[proto])
				var extra []string
				if wrap != "plain" {
					extra = []string{"--" + wrap, b.write("static.key", staticKeyText)}
				}
				b.serve(append([]string{"--keepalive", "1", "5", "--push", "echo pushed", "--push", "explicit-exit-notify 1"}, extra...)...)
				b.connect(extra...)
				b.up()
				if lines, ok := b.out.Status(0); !ok || lines[0] != "OpenVPN STATISTICS" {
					t.Errorf("status %q", lines)
				}
				b.await("the server counts the client", func() bool { return b.vpn.Clients() == 1 })
				b.client.sig.Raise(engine.Stop{Signal: engine.USR2})
				b.lines(b.client, "TUN/TAP read bytes", 1)
				// Pings move bytes both ways.
				b.await("pings", func() bool { n, _ := b.out.Traffic(); return n.In > 0 && n.Out > 0 })
				b.client.sig.Raise(engine.Stop{Signal: engine.USR1})
				b.lines(b.client, "Initialization Sequence Completed", 2)
				if stop := b.end(b.client, engine.TERM); stop.Signal != engine.TERM || stop.Err != nil {
					t.Errorf("the client ended by %v %v", stop.Signal, stop.Err)
				}
			})
		}
	}
}

// What a server says ends a client, or has it start again.
func TestPairServerSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		say  string
		line string
		ends bool
	}{
		{"halt", "HALT,closed", "Halt command was pushed by server ('closed')", true},
		{"restart", "RESTART,[N]", "Connection reset command was pushed by server", false},
		{"nonsense", "FOO,bar", "WARNING: Received unknown control message: FOO,bar", false},
		{"info", "INFO,hello", "Info command was pushed by server ('hello')", false},
		{"refused later", "AUTH_FAILED,no more", "AUTH: Received control message: AUTH_FAILED,no more", true},
		{"refused for a while", "AUTH_FAILED,TEMP[backoff 1]:later", "AUTH: Received control message: AUTH_FAILED", false},
		{"pending", "AUTH_PENDING,timeout 20", "AUTH_PENDING received, extending handshake timeout", false},
		{"exit", "EXIT", "CC-EEN exit message received by peer", false},
		{"an update", "PUSH_UPDATE,route 10.9.0.0 255.255.0.0", "Push update completed", false},
		{"an update of what cannot change", "PUSH_UPDATE,ping 7", "Pushed option is not updatable: 'ping 7'.", false},
		{"an update that cannot be", "PUSH_UPDATE,dev tap", "PUSH: Received control message: 'PUSH_UPDATE,dev tap'", false},
		{"a token", "PUSH_REPLY,auth-token sekret", "PUSH: Received control message: 'PUSH_REPLY,auth-token", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			b.serve("--management-client-auth", "--management", b.file("sock"), "unix", "--keepalive", "10", "60")
			b.connect("--auth-user-pass", b.write("login", "user\npass\n"))
			b.await("the server asks", func() bool { return b.events.kid.Load() == 1 })
			admit := b.vpn.ClientAuth(b.events.cid.Load(), 1, []string{"push \"echo admitted\""})
			if admit == nil {
				t.Fatal("client-auth")
			}
			admit()
			b.up()
			if !b.vpn.ClientKill(b.events.cid.Load(), c.say) {
				t.Fatal("client-kill")
			}
			b.lines(b.client, c.line, 1)
			if c.ends {
				if stop := b.ended(b.client); stop.Signal != engine.TERM {
					t.Errorf("ended by %v", stop.Signal)
				}
			}
		})
	}
}

// A login whose verdict is against the client.
func TestPairLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script string
		pass   string
		client []string
		line   string // of the client
		ends   bool
	}{
		{"accepted", "exit 0", "right", nil, "Initialization Sequence Completed", false},
		{"refused", "exit 1", "wrong", nil, "AUTH: Received control message: AUTH_FAILED", true},
		{"refused, again without asking", "exit 1", "wrong", []string{"--auth-retry", "nointeract"}, "SIGUSR1[soft,auth-failure] received, process restarting", false},
		{"deferred", "echo 1 >\"$auth_control_file\"; exit 2", "right", nil, "Initialization Sequence Completed", false},
		{"deferred, refused", "echo 0 >\"$auth_control_file\"; exit 2", "right", nil, "AUTH: Received control message: AUTH_FAILED", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			b.serve("--script-security", "2", "--auth-user-pass-verify", b.write("verify", "#!/bin/sh\n"+c.script+"\n"), "via-env", "--auth-gen-token", "--tmp-dir", b.dir)
			b.connect(append([]string{"--auth-user-pass", b.write("login", "user\n"+c.pass+"\n")}, c.client...)...)
			b.lines(b.client, c.line, 1)
			if c.ends {
				if stop := b.ended(b.client); stop.Signal != engine.TERM {
					t.Errorf("ended by %v", stop.Signal)
				}
			}
		})
	}
}

// What timers of a client, or its options, do without anything said.
func TestPairOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		server []string
		client []string
		line   string
	}{
		{"a renewal by age", nil, []string{"--reneg-sec", "2"}, "TLS: soft reset sec=2/2"},
		{"a renewal by packets", []string{"--ping", "1"}, []string{"--reneg-pkts", "2", "--ping", "1"}, "TLS: soft reset"},
		{"inactive", nil, []string{"--inactive", "1"}, "SIGTERM[soft,inactive] received"},
		{"session-timeout", nil, []string{"--session-timeout", "1"}, "SIGTERM[soft,session-timeout] received"},
		{"ping-exit", nil, []string{"--ping-exit", "1"}, "SIGTERM[soft,ping-exit] received"},
		{"ping-restart", nil, []string{"--ping-restart", "1"}, "SIGUSR1[soft,ping-restart] received"},
		{"an old cipher", []string{"--data-ciphers", "AES-256-CBC"}, []string{"--data-ciphers", "AES-256-CBC"}, "Data Channel: cipher 'AES-256-CBC', auth 'SHA1'"},
		{"a pushed option that is refused", []string{"--push", "route 10.9.0.0 255.255.0.0"}, []string{"--pull-filter", "reject", "route"}, "WARNING: Received bad push/pull message"},
		{"no cipher in common", []string{"--data-ciphers", "AES-256-GCM"}, []string{"--data-ciphers", "AES-128-CBC"}, "AUTH: Received control message: AUTH_FAILED"},
		{"nobody there", nil, []string{"--connect-timeout", "1"}, "Server poll timeout, restarting"},
		{"up and down scripts", nil, []string{"--script-security", "2", "--up", "/bin/true", "--down", "/bin/true", "--ipchange", "/bin/true", "--persist-tun", "--up-restart"}, "Initialization Sequence Completed"},
		{"another name on the certificate", nil, []string{"--verify-x509-name", "other", "name"}, "TLS Error: TLS handshake failed"},
		{"a script against the certificate", nil, []string{"--script-security", "2", "--tls-verify", "/bin/false"}, "TLS Error: TLS handshake failed"},
		{"nobody decides", []string{"--management-client-auth", "--management", "/tmp/none", "unix"}, []string{"--hand-window", "2", "--auth-user-pass"}, "No reply from server to push requests in"},
		{"compression that is not allowed", []string{"--push", "comp-lzo yes"}, []string{"--allow-compression", "no"}, "OPTIONS ERROR: server pushed compression settings that are not allowed"},
		{"nobody at the proxy", nil, []string{"--proto", "tcp4", "--http-proxy", "127.0.0.1", "9"}, "TCP: connect to [AF_INET]127.0.0.1:9 failed: Connection refused"},
		{"nobody at the SOCKS proxy", nil, []string{"--socks-proxy", "127.0.0.1", "9"}, "TCP: connect to [AF_INET]127.0.0.1:9 failed: Connection refused"},
		{"a cipher of each own", []string{"--data-ciphers-fallback", "AES-256-CBC"}, []string{"--shaper", "100000", "--block-ipv6", "--remote-random", "--keying-material-exporter", "EXPORTER-test", "32", "--push-peer-info"}, "Initialization Sequence Completed"},
		{"names looked up in advance", nil, []string{"--preresolve"}, "Initialization Sequence Completed"},
		{"replays kept", nil, []string{"--replay-persist", "/dev/null"}, "Initialization Sequence Completed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			b.serve(c.server...)
			if c.name == "nobody there" {
				b.end(b.server, engine.TERM)
			}
			b.connect(c.client...)
			b.lines(b.client, c.line, 1)
		})
	}
}

// Variables that a server pushes are in the environment of scripts, under a name that is none of theirs.
func TestPairPushedVariables(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "udp4")
	b.serve("--push", "setenv-safe site office", "--push", "setenv-safe PATH /evil")
	b.connect("--script-security", "2", "--setenv-safe", "site", "home", "--up", b.write("up", "#!/bin/sh\necho \"$OPENVPN_site $OPENVPN_PATH\" >"+b.file("seen.new")+"; case $PATH in /evil*) exit 1;; esac\n/bin/mv "+b.file("seen.new")+" "+b.file("seen")+"\n"))
	b.up()
	seen, err := os.ReadFile(b.file("seen"))
	if err != nil || string(seen) != "office /evil\n" {
		t.Errorf("the script sees %q, %v", seen, err)
	}
}

// A stream that ends has the client start again, and wait for a server that is not there.
func TestPairStreamEnds(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "tcp-server")
	b.serve()
	b.connect()
	b.up()
	if b.out.CRResponse(strings.Repeat("x", maxResponse+1)) || !b.out.CRResponse("b25l") {
		t.Error("an answer to a challenge counts by its length")
	}
	if list := b.out.Remotes(); len(list) != 1 || list[0].Host != b.addr {
		t.Errorf("remotes %v", list)
	}
	b.end(b.server, engine.TERM)
	b.lines(b.client, "SIGUSR1[soft,connection-reset] received, process restarting", 1)
	b.lines(b.client, "TCP: connect to [AF_INET]"+b.addr, 1)
}

// Two peers without a server between them.
func TestPairOfPeers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		first, other []string
		line         string
	}{
		{"static key", []string{"--cipher", "AES-256-CBC"}, []string{"--cipher", "AES-256-CBC"}, "Peer Connection Initiated"},
		{"tls", []string{"--tls-server", "--dh", "none"}, []string{"--tls-client"}, "P2P mode NCP negotiation result: TLS_export=1, DATA_v2=1"},
		{"tls once", []string{"--tls-server", "--dh", "none", "--single-session"}, []string{"--tls-client"}, "P2P mode NCP negotiation result: TLS_export=1, DATA_v2=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			key := b.write("static.key", staticKeyText)
			peer := func(name, own, other string, extra []string) *running {
				args := []string{"--proto", "udp4", "--local", b.addr, "--lport", own, "--remote", b.addr, other, "--ping", "1"}
				if strings.HasPrefix(c.name, "tls") {
					args = append(args, "--ca", b.file("ca.crt"), "--cert", b.file(name+".crt"), "--key", b.file(name+".key"))
				} else {
					args = append(args, "--secret", key)
				}
				return b.peer(append(args, extra...)...)
			}
			one := peer("server", "31196", "31197", c.first)
			two := peer("client", "31197", "31196", c.other)
			for _, r := range []*running{one, two} {
				b.lines(r, c.line, 1)
				b.lines(r, "Initialization Sequence Completed", 1)
			}
			if c.name == "tls" { // one starts anew, and takes the place of its former self
				b.end(two, engine.TERM)
				two = peer("client", "31197", "31196", c.other)
				b.lines(two, "Initialization Sequence Completed", 1)
				b.lines(one, "Peer Connection Initiated", 2)
			}
			if c.name == "tls once" {
				b.end(two, engine.TERM)
				peer("client", "31197", "31196", c.other)
				b.lines(one, "TLS Error: Cannot accept new session request from [AF_INET]"+b.addr+":31197 due to session context expire or --single-session", 1)
				if n := strings.Count(one.log.String(), "Peer Connection Initiated"); n != 1 {
					t.Errorf("%d sessions", n)
				}
			}
		})
	}
}

// peer starts one of two peers that pull nothing.
func (b *both) peer(extra ...string) *running {
	b.t.Helper()
	r := &running{log: new(daemontest.Log), sig: engine.NewSignals()}
	o := b.parse(append([]string{"--dev", "tun", "--ifconfig", "10.4.0.1", "10.4.0.2", "--ifconfig-noexec", "--verb", "4", "--allow-deprecated-insecure-static-crypto"}, extra...))
	b.start(New(Deps{
		Options: o, Port: mgmtserver.New(mgmtserver.Config{Unreachable: true}), Log: logging.New(logging.Config{Stdout: r.log, Stderr: r.log, Verb: o.Verb}), Signals: r.sig, Secrets: new(Secrets),
		Hooks: &hooks.Runner{}, Env: hooks.NewEnv(), Totals: new(engine.Totals), Net: new(netconftest.Fake), Version: "2.6.14",
	}).Run, r)
	return r
}

// staticKeyText is a key for tests.
var staticKeyText = func() string {
	var s strings.Builder
	s.WriteString("-----BEGIN OpenVPN Static key V1-----\n")
	for n := range 16 {
		for k := range 16 {
			fmt.Fprintf(&s, "%02x", (n*37+k*11+5)%256)
		}
		s.WriteString("\n")
	}
	s.WriteString("-----END OpenVPN Static key V1-----\n")
	return s.String()
}()
