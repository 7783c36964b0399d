package mux_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/mux"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream is a daemon at one path, of one seat as stock's, which may end and begin again.
type upstream struct {
	*mgmttest.Daemon
	path string
}

func newUpstream(t *testing.T, path string, cfg server.Config) *upstream {
	t.Helper()
	cfg.Limits.Seats = 1
	d := mgmttest.NewDaemon(t, cfg)
	ln, err := server.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = d.Serve(context.Background(), ln, server.Access{})
	}()
	t.Cleanup(func() { d.Stop(); <-served })
	return &upstream{d, path}
}

// share runs a mux and returns the path where it serves.
func share(t *testing.T, a server.Access, limits server.Limits, ups ...mux.Upstream) string {
	t.Helper()
	m, err := mux.New(mux.Config{Upstreams: ups, Limits: limits})
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
	running.Go(func() { _ = m.Serve(ctx, ln, a) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return path
}

// seat is a raw client of the mux.
type seat struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func attach(t *testing.T, path string) *seat {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &seat{t, conn, bufio.NewReader(conn)}
}

func (s *seat) send(lines ...string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		s.t.Fatal(err)
	}
}

// until reads up to a line with the prefix, and returns all lines.
func (s *seat) until(prefix string) (all []string) {
	s.t.Helper()
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			s.t.Fatalf("waiting for %q after %q: %v", prefix, all, err)
		}
		all = append(all, strings.TrimRight(line, "\r\n"))
		if strings.HasPrefix(line, prefix) {
			return all
		}
	}
}

func (d *upstream) do(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
}

func sock(t *testing.T) string { return filepath.Join(t.TempDir(), "up") }

// A prompt waits for the first valid answer, is shown to seats that come later, and the answer is one seat's: halves of two
// do not mix.
func TestPrompts(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{Hold: true})
	path := share(t, server.Access{}, server.Limits{}, mux.Upstream{Addr: d.path})
	d.do(t, "mode client", "hold 3")
	a, b := attach(t, path), attach(t, path)
	a.until(">HOLD:Waiting for hold release:3")
	b.until(">HOLD:Waiting for hold release:3")
	b.send("hold release")
	b.until("SUCCESS: hold release succeeded")
	a.until(">NOTIFY:info,prompt-answered,HOLD,")
	d.do(t, "userpass Auth")
	a.until(">PASSWORD:Need 'Auth' username/password")
	late := attach(t, path)
	late.until(">PASSWORD:Need 'Auth' username/password")
	late.send("needok Auth ok", "username Wrong x")
	late.until("ERROR: no needok-confirmation is currently needed at this time")
	late.until("ERROR: username of type 'Wrong' entered, but we need one of type 'Auth'")
	a.send(`username Auth "a l"`)
	a.until("SUCCESS: 'Auth' username entered")
	late.send("password Auth late", "username Auth lou")
	late.until("SUCCESS: 'Auth' password entered")
	late.until("SUCCESS: 'Auth' username entered")
	a.until(">NOTIFY:info,prompt-answered,PASSWORD,Auth")
	a.send("password Auth mine")
	a.until("ERROR: password for 'Auth' is no longer needed, another management client was first")
	calls := d.Ctl.Calls()
	for end := time.Now().Add(15 * time.Second); !slices.Contains(calls, `answer userpass Auth "lou" "late"`); { // the asker notes it after the reply
		if time.Now().After(end) {
			t.Fatalf("the daemon got %q", calls)
		}
		time.Sleep(time.Millisecond)
		calls = append(calls, d.Ctl.Calls()...)
	}
	d.do(t, "sign data ECDSA")
	a.send("version 3", "pid")
	a.until("SUCCESS: pid=")
	next := attach(t, path)
	next.until(">PK_SIGN:ZGF0YQ==,ECDSA") // in the words announced last
	next.send("pk-sig", "c2ln", "END")
	next.until("SUCCESS: pk-sign command succeeded")
	a.until(">NOTIFY:info,prompt-answered,PK_SIGN,")
	a.send("pk-sig", "pid")
	a.until("ERROR: The pk-sig command is not currently available, another management client was first")
	a.until("SUCCESS: pid=")
}

// One seat decides about a login while others watch; a second decision comes too late.
func TestDecisions(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{})
	d.do(t, "mode server", "peer 0 1 cn 10.0.0.1:1 pending")
	path := share(t, server.Access{}, server.Limits{}, mux.Upstream{Addr: d.path})
	first, second := attach(t, path), attach(t, path)
	first.send("env-filter 2", "pid")
	first.until("SUCCESS: pid=")
	second.send("env-filter 0", "pid") // a seat that is made later starts with the level announced last
	second.until("SUCCESS: pid=")
	d.do(t, "client connect 0 1 n_clients=0 password=secret username=alice common_name=c IV_PROTO=2 IV_VER=2.6")
	if got := first.until(">CLIENT:ENV,END"); !slices.Equal(got[len(got)-5:], []string{
		">CLIENT:ENV,IV_VER=2.6", ">CLIENT:ENV,IV_PROTO=2", ">CLIENT:ENV,password=secret", ">CLIENT:ENV,username=alice", ">CLIENT:ENV,END",
	}) {
		t.Errorf("at level 2: %q", got)
	}
	second.until(">CLIENT:ENV,common_name=c")
	first.send("client-auth 0 1", `push "route 10.0.0.0 255.0.0.0"`, "END")
	first.until("SUCCESS: client-auth command succeeded")
	second.send("client-deny 0 1 no")
	second.until("ERROR: client-deny command failed, another management client was first")
	second.send("client-auth 0 1", strings.Repeat("x", 1100), "END", "pid")
	second.until("ERROR: client-auth command failed: line is longer than 1023 bytes")
	second.until("SUCCESS: pid=")
	if calls := d.Ctl.Calls(); !slices.Contains(calls, `ClientAuth 0 1 ["push \"route 10.0.0.0 255.0.0.0\""]: true`) {
		t.Errorf("the daemon got %q", calls)
	}
}

// What a role may not do does not reach the daemon, and its secrets do not reach the role.
func TestRoles(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{})
	d.do(t, "mode client")
	a := server.Access{Passwords: []server.Password{{Text: "look", Role: mgmt.RoleObserve}, {Text: "all"}}}
	path := share(t, a, server.Limits{}, mux.Upstream{Addr: d.path})
	s := attach(t, path)
	s.send("look", "signal SIGTERM", "verb 5", "frobnicate", "log on", "pid")
	for _, want := range []string{
		"ENTER PASSWORD:SUCCESS: password is correct", ">INFO:", "ERROR: the 'signal' command is not permitted here", "ERROR: the 'verb' command is not permitted here",
		"ERROR: unknown command", "SUCCESS: real-time log", "SUCCESS: pid=",
	} {
		s.until(want)
	}
	d.do(t, `log I "SENT CONTROL [x]: 'AUTH_FAILED,CRV1:R:secret:YQ==:x'"`, "token SESS_ID", `infomsg "WEB_AUTH::https://secret"`)
	s.send("log 1", "version")
	if got := strings.Join(s.until("Management Version: 5"), "\n"); strings.Contains(got, "secret") || strings.Contains(got, "SESS_ID") || !strings.Contains(got, "WEB_AUTH:[...]") {
		t.Errorf("an observer got %q", got)
	}
	admin := attach(t, path)
	admin.send("all", "verb 7", "frobnicate", "verb")
	admin.until("SUCCESS: verb level changed")
	admin.until("ERROR: unknown command")
	admin.until("SUCCESS: verb=7")
	if calls := d.Ctl.Calls(); len(calls) > 0 {
		t.Errorf("the daemon got %q", calls)
	}
}

// The daemon goes and comes back. Seats stay, hear of it, and go on hearing what they subscribed to.
func TestDaemonLostAndFound(t *testing.T) {
	path := sock(t)
	shared := share(t, server.Access{}, server.Limits{}, mux.Upstream{Addr: path})
	early := attach(t, shared)
	early.send("pid")
	early.until("ERROR: the daemon is not connected: reach " + path)
	d := newUpstream(t, path, server.Config{})
	early.until(">NOTIFY:info,daemon-found,OpenVPN Management Interface Version 5")
	early.send("state on", "bytecount 1", "pid")
	early.until("SUCCESS: pid=")
	d.do(t, "mode client", "secret Auth")
	early.until(">PASSWORD:")
	d.Stop()
	early.until(">NOTIFY:info,daemon-lost,")
	early.send("password Auth x", "status", "log on")
	early.until("ERROR: no password is currently needed")
	early.until("ERROR: the daemon is not connected")
	early.until("ERROR: the daemon is not connected")
	next := attach(t, shared)
	if got := next.until(">INFO:"); len(got) != 1 {
		t.Errorf("a seat that came meanwhile got %q", got)
	}
	d = newUpstream(t, path, server.Config{Version: 6})
	early.until(">NOTIFY:info,daemon-found,OpenVPN Management Interface Version 6")
	early.send("pid")
	early.until("SUCCESS: pid=") // the subscriptions went ahead of it
	d.do(t, "mode client", "traffic 5 6", "state CONNECTED SUCCESS")
	early.until(">STATE:")
	early.until(">BYTECOUNT:5,6")
}

// A seat that does not read loses log lines; the others lose nothing, and the daemon is not slowed down.
func TestSlowSeat(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{Limits: server.Limits{Droppable: 64 << 20}})
	path := share(t, server.Access{}, server.Limits{Droppable: 64 << 10}, mux.Upstream{Addr: d.path})
	slow, good := attach(t, path), attach(t, path)
	for _, s := range []*seat{slow, good} {
		s.send("log on")
		s.until("SUCCESS: real-time log")
	}
	const lines = 20_000
	go func() {
		for i := range lines {
			d.Log(mgmt.LogEntry{Text: fmt.Sprintf("line %d of those that nobody wants to miss", i)})
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	start := time.Now()
	if got := good.until(fmt.Sprintf(">LOG:%d", time.Now().Unix()/10_000_000)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	n := 1
	for last := fmt.Sprintf("line %d ", lines-1); ; n++ {
		line, err := good.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, last) {
			break
		}
		if strings.HasPrefix(line, ">NOTIFY:info,lost-lines") {
			t.Fatalf("the good seat lost lines: %s", line)
		}
	}
	if n != lines-1 {
		t.Errorf("%d lines", n+1)
	}
	t.Logf("%d lines in %v", lines, time.Since(start))
	good.send("pid")
	good.until("SUCCESS: pid=")
	slow.until(">NOTIFY:info,lost-lines,")
	slow.send("pid")
	slow.until("SUCCESS: pid=")
}

// scripted is a daemon that answers every command by a line, and keeps what it got.
func scripted(t *testing.T) (addr string, conns chan net.Conn, got chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns, got = make(chan net.Conn, 1), make(chan string, 100)
	var all sync.WaitGroup
	all.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, ">INFO:OpenVPN Management Interface Version 5 -- hello\r\n")
		conns <- conn
		for r := bufio.NewScanner(conn); r.Scan(); {
			got <- r.Text()
			if !strings.HasPrefix(r.Text(), "version ") {
				fmt.Fprintf(conn, "SUCCESS: %s\r\n", r.Text())
			}
		}
		conn.Close()
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return ln.Addr().String(), conns, got
}

// The daemon is subscribed to what any seat wants, at the shortest interval, and no longer than that.
func TestSubscriptionsAreMerged(t *testing.T) {
	addr, conns, got := scripted(t)
	path := share(t, server.Access{}, server.Limits{}, mux.Upstream{Addr: addr})
	conn := <-conns
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case g := <-got:
				if g != w {
					t.Fatalf("the daemon got %q, want %q", g, w)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("the daemon did not get %q", w)
			}
		}
	}
	expect("version 5", "env-filter 0")
	a, b := attach(t, path), attach(t, path)
	a.send("state on", "bytecount 5", "env-filter 3")
	a.until("SUCCESS: env_filter_level=3")
	expect("state on", "bytecount 5")
	b.send("bytecount 2", "state on", "echo on")
	b.until("SUCCESS: echo on")
	expect("bytecount 2", "state on", "echo on")
	for i := range 3 {
		fmt.Fprintf(conn, ">STATE:1,WAIT,%d,,,,,\r\n>BYTECOUNT:%d,0\r\n>ECHO:1,e%d\r\n", i, i, i)
	}
	fmt.Fprint(conn, ">INFOMSG:over\r\n")
	if all := a.until(">INFOMSG:over"); !slices.Equal(all, []string{">STATE:1,WAIT,0,,,,,", ">BYTECOUNT:0,0", ">STATE:1,WAIT,1,,,,,", ">STATE:1,WAIT,2,,,,,", ">INFOMSG:over"}) {
		t.Errorf("a got %q", all)
	}
	if all := b.until(">INFOMSG:over"); len(all) != 3+1+3+1 {
		t.Errorf("b got %q", all)
	}
	a.send("state off")
	a.until("SUCCESS: real-time state notification set to OFF") // b wants it still
	b.send("quit")
	expect("state off", "echo off", "bytecount 5")
	a.send("bytecount 0")
	a.until("SUCCESS: bytecount 0")
	expect("bytecount 0")
}

// A daemon that does not answer costs the seat that asked, not the others, and a late reply is nobody's.
func TestSilentDaemon(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := share(t, server.Access{}, server.Limits{Relay: 200 * time.Millisecond}, mux.Upstream{Addr: ln.Addr().String()})
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, ">INFO:OpenVPN Management Interface Version 5 -- hello\r\n")
	a, b := attach(t, path), attach(t, path)
	a.send("pid")
	a.until("ERROR: the daemon has not answered in 200ms")
	b.send("test 1")
	b.until("[0]")
	fmt.Fprint(conn, "SUCCESS: env_filter_level=0\r\nSUCCESS: pid=1\r\n>INFOMSG:on\r\n")
	if got := a.until(">INFOMSG:on"); len(got) != 1 {
		t.Errorf("late: %q", got)
	}
}

// Behind one socket several daemons: each seat chooses by name, and may choose again.
func TestChoose(t *testing.T) {
	one, two := newUpstream(t, sock(t), server.Config{PID: 1}), newUpstream(t, sock(t), server.Config{PID: 2})
	path := share(t, server.Access{}, server.Limits{Seats: 3}, mux.Upstream{Name: "one", Addr: one.path}, mux.Upstream{Name: "two", Addr: two.path})
	s := attach(t, path)
	s.send("pid", "use", "use three", "use two", "pid", "state on", "use one", "pid")
	for _, want := range []string{"ERROR: choose a daemon first: use one of one, two", "END", "ERROR: no daemon 'three'", "SUCCESS: using two", ">INFO:", "SUCCESS: pid=2", "SUCCESS: using one", ">INFO:", "SUCCESS: pid=1"} {
		s.until(want)
	}
	two.do(t, "state WAIT", "infomsg none")
	one.do(t, "infomsg mine")
	if got := s.until(">INFOMSG:mine"); len(got) != 1 {
		t.Errorf("after leaving the other: %q", got)
	}
	for name, want := range map[string]int{"one": 1, "two": 2} {
		c, err := client.Dial(t.Context(), path+"#"+name, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := c.PID(t.Context()); err != nil || pid != want {
			t.Errorf("%s: pid %d, %v", name, pid, err)
		}
		defer c.Close()
	}
	if _, err := client.Dial(t.Context(), path+"#one", client.Options{}); err == nil || !strings.Contains(err.Error(), "limit is 3") {
		t.Errorf("a fourth seat: %v", err)
	}
	if _, err := mux.New(mux.Config{Upstreams: []mux.Upstream{{Addr: "a"}, {Addr: "b"}}}); err == nil {
		t.Error("two daemons without names")
	}
}

// A seat that never stops asking is slowed down, and nobody else is.
func TestHastySeat(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{})
	path := share(t, server.Access{}, server.Limits{RelayRate: 50}, mux.Upstream{Addr: d.path})
	hasty, good := attach(t, path), attach(t, path)
	const commands = 150 // 50 at once, the rest in two seconds
	start := time.Now()
	hasty.send(slices.Repeat([]string{"load-stats"}, commands)...)
	good.send("load-stats")
	good.until("SUCCESS: nclients=")
	if took := time.Since(start); took > time.Second {
		t.Errorf("the good seat waited %v", took)
	}
	for range commands {
		hasty.until("SUCCESS: nclients=")
	}
	if took := time.Since(start); took < 1900*time.Millisecond {
		t.Errorf("%d commands took %v", commands, took)
	}
}

// TLS and passwords of the mux are those of a port: it is the same code, and this is the proof that it is asked.
func TestTLS(t *testing.T) {
	ca, err := pki.NewCA("Mux CA")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(spec pki.Spec) tls.Certificate {
		t.Helper()
		leaf, err := ca.Issue(spec)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	cfg, err := server.TLSConfig(issue(pki.Spec{Name: "127.0.0.1", Server: true}), ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	d := newUpstream(t, sock(t), server.Config{})
	m, err := mux.New(mux.Config{Upstreams: []mux.Upstream{{Addr: d.path}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() {
		_ = m.Serve(ctx, server.ListenTLS(ln, cfg), server.Access{Passwords: []server.Password{{Text: "look", Role: mgmt.RoleObserve}}})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	trust := &tls.Config{InsecureSkipVerify: true}                           // the certificate has no address; whom the mux admits is the question
	if bare, err := tls.Dial("tcp", ln.Addr().String(), trust); err == nil { // TLS 1.3 tells at the first read
		bare.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err = bare.Read(make([]byte, 1)); err == nil {
			t.Error("a client without a certificate was let in")
		}
		bare.Close()
	}
	trust.Certificates = []tls.Certificate{issue(pki.Spec{Name: "seat"})}
	conn, err := tls.Dial("tcp", ln.Addr().String(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	s := &seat{t, conn, bufio.NewReader(conn)}
	s.send("look", "pid", "signal SIGTERM")
	s.until("SUCCESS: pid=")
	s.until("ERROR:")
}
