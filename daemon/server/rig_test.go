package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// rig is a whole server in this process, on loopback, without a device: for what its clients see and cost.
type rig struct {
	t      *testing.T
	dir    string
	args   []string
	server *Server
	sig    *engine.Signals
	port   *portLog
	rec    *recorded
	log    *daemontest.Log
	addr   string // host:port
	tcp    bool
	air    *air // in the place of sockets; nil with those
	cert   tls.Certificate
	done   chan struct{}
}

// newRig starts a server on a free port, for clients that share a certificate.
func newRig(t *testing.T, proto string, extra ...string) *rig {
	t.Helper()
	return newNamedRig(t, proto, append([]string{"--duplicate-cn"}, extra...)...)
}

// newNamedRig is newRig with one client of a name at a time.
func newNamedRig(t *testing.T, proto string, extra ...string) *rig {
	t.Helper()
	return newRigIn(t, nil, proto, extra...)
}

// inMemory is the proto of a rig without sockets, for tests in fake time.
const inMemory = "memory"

// inFakeTime runs a test whose waits take no time: its rig is inMemory. Scripts run in real time, and the clock stands still meanwhile.
func inFakeTime(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// newRigIn is newNamedRig for a server of a fleet, nil for none.
func newRigIn(t *testing.T, f Fleet, proto string, extra ...string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), sig: engine.NewSignals(), port: new(portLog), rec: new(recorded), log: new(daemontest.Log), tcp: strings.HasPrefix(proto, "tcp"), done: make(chan struct{})}
	daemontest.WriteKeys(t, r.dir)
	var err error
	if r.cert, err = tls.LoadX509KeyPair(r.file("client.crt"), r.file("client.key")); err != nil {
		t.Fatal(err)
	}
	local := daemontest.Loopback()
	if proto == inMemory {
		proto, r.air = "udp4", newAir()
	}
	r.addr = local + ":31194" // not 1194: a server of this machine may have that on all addresses
	r.args = append([]string{
		"--mode", "server", "--tls-server", "--dev", "tun", "--topology", "subnet", "--server", "10.8.0.0", "255.255.255.0",
		"--ifconfig-noexec", "--route-noexec", "--local", local, "--port", "31194", "--proto", proto, "--dh", "none", "--verb", "4",
		"--ca", r.file("ca.crt"), "--cert", r.file("server.crt"), "--key", r.file("server.key"), "--hand-window", "4",
	}, extra...)
	o := r.options()
	lg := logging.New(logging.Config{Stdout: r.log, Stderr: r.log, Verb: o.Verb})
	r.server = New(Deps{
		Options: o, Log: lg, Port: r.port, Fleet: f, Journal: r.rec, Signals: r.sig, Hooks: &hooks.Runner{Security: o.ScriptSecurity, Stdout: r.log, Stderr: r.log, Done: r.rec.hooked},
		Env: hooks.NewEnv(), Totals: new(engine.Totals),
	})
	if r.air != nil {
		r.server.open = func(*setup) (*sockets, error) { return &sockets{udp: []transport.Link{r.air.listen()}}, nil }
	}
	go func() {
		defer close(r.done)
		if stop := r.server.Run(context.Background()); stop.Err != nil {
			t.Errorf("the server: %v", stop.Err)
		}
	}()
	t.Cleanup(r.stop)
	r.await("the server serves", r.server.Serving)
	return r
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

// script writes an executable shell script.
func (r *rig) script(name, body string) string {
	r.t.Helper()
	if err := os.WriteFile(r.file(name), []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+body+"\n"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	return r.file(name)
}

// options parses the rig's command line, with more at its end.
func (r *rig) options(extra ...string) *config.Options {
	r.t.Helper()
	o, err := config.Parse(append(append([]string(nil), r.args...), extra...), config.Env{})
	if err != nil {
		r.t.Fatal(err)
	}
	o.Dev, o.DevType = "null", config.DevNull // no device, and so no root
	return o
}

// stop ends the server and waits for it.
func (r *rig) stop() {
	r.sig.Raise(engine.Stop{Signal: engine.INT})
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		r.t.Error("the server does not end")
	}
	if r.t.Failed() {
		text := r.log.String()
		r.t.Logf("the server's log:\n%s", text[max(0, len(text)-8000):])
	}
}

func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	daemontest.Await(r.t, what, ok)
}

// onHub runs f on the server's hub.
func (r *rig) onHub(f func(h *hub)) {
	r.t.Helper()
	if !r.server.do(f) {
		r.t.Fatal("the hub does not answer")
	}
}

// portLog counts what the management port is told.
type portLog struct {
	mu   sync.Mutex
	seen map[string]int
	last server.ClientEvent
}

func (p *portLog) note(kind string, e server.ClientEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = make(map[string]int)
	}
	p.seen[kind]++
	p.last = e
}

func (p *portLog) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[kind]
}

func (p *portLog) State(mgmt.State)                                   {}
func (p *portLog) Notify(kind, _ string)                              { p.note("notify", server.ClientEvent{}) }
func (p *portLog) UpDown(bool, []string)                              {}
func (p *portLog) HoldFlag() bool                                     { return false }
func (p *portLog) Hold(context.Context, time.Duration) error          { return nil }
func (p *portLog) ClientConnect(e server.ClientEvent)                 { p.note("connect", e) }
func (p *portLog) ClientReauth(e server.ClientEvent)                  { p.note("reauth", e) }
func (p *portLog) ClientEstablished(e server.ClientEvent)             { p.note("established", e) }
func (p *portLog) ClientDisconnect(e server.ClientEvent)              { p.note("disconnect", e) }
func (p *portLog) Attended() bool                                     { return true }
func (p *portLog) ClientCRResponse(e server.ClientEvent, text string) { p.note("cr-response", e) }
func (p *portLog) ClientAddress(uint64, netip.Prefix, bool)           {}

// caller is a client that says what a test wants it to say.
type caller struct {
	conn       net.Conn
	tcp        bool
	in         []byte // of a stream, not yet a packet
	session    *control.Session
	user, pass string
	info       string // behind the usual peer info
	options    string // instead of the usual ones
	texts      []string
	failed     error
	active     map[uint8]bool
}

// dial makes a client of the rig, from a local address or any.
func (r *rig) dial(local string, wrap ctrlwrap.Wrapper) (*caller, error) {
	conn, err := r.connect(local)
	if err != nil {
		return nil, err
	}
	c := &caller{conn: conn, tcp: r.tcp}
	if err := c.begin(r.cert, wrap, 0); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// connect makes a connection from a local address, "" for any.
func (r *rig) connect(local string) (net.Conn, error) {
	if r.air != nil {
		return r.air.dial(local), nil
	}
	network := "udp4"
	if r.tcp {
		network = "tcp4"
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	if local != "" {
		a := net.ParseIP(local)
		d.LocalAddr = &net.UDPAddr{IP: a}
		if r.tcp {
			d.LocalAddr = &net.TCPAddr{IP: a}
		}
	}
	return d.Dial(network, r.addr)
}

// begin starts a session on the connection.
func (c *caller) begin(cert tls.Certificate, wrap ctrlwrap.Wrapper, reset wire.Opcode) (err error) {
	c.active, c.texts, c.failed = make(map[uint8]bool), nil, nil
	c.session, err = control.New(control.Config{
		Role: keys.Client, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}, Wrap: wrap, ResetOp: reset,
		LocalOptions: cmp.Or(c.options, "V4"), PeerInfo: "IV_VER=2.6.14\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM\nIV_PROTO=478\n" + c.info, HandWindow: time.Minute, TLSTimeout: 500 * time.Millisecond,
	}, time.Now())
	return err
}

// restart starts over from another port.
func (c *caller) restart(t *testing.T, r *rig) {
	t.Helper()
	c.close()
	conn, err := r.connect("")
	if err != nil {
		t.Fatal(err)
	}
	c.conn, c.in = conn, nil
	if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
		t.Fatal(err)
	}
}

// local is the client's address.
func (c *caller) local() netip.AddrPort { return netip.MustParseAddrPort(c.conn.LocalAddr().String()) }

func (c *caller) close() {
	c.session.Close()
	c.conn.Close()
}

// play runs the client until done, or for a while; it reports which.
func (c *caller) play(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		c.step()
		if done() {
			return true
		}
		pkt, err := c.read(5 * time.Millisecond)
		var timeout net.Error
		switch {
		case pkt != nil:
			if op, _, err := wire.ParseHeader(pkt); err == nil && op.IsControl() {
				_ = c.session.Input(pkt, time.Now())
			}
		case errors.As(err, &timeout) && timeout.Timeout():
		case c.tcp:
			c.failed = err
			return done()
		default: // refused, for the moment
			time.Sleep(5 * time.Millisecond)
		}
	}
	return done()
}

// up runs the client until it is connected or refused, and reports the former.
func (c *caller) up(limit time.Duration) bool {
	c.play(limit, func() bool { return c.told("PUSH_REPLY") || c.told("AUTH_FAILED") || c.failed != nil })
	return c.told("PUSH_REPLY")
}

func (c *caller) step() {
	c.session.Step(time.Now())
	for {
		e, ok := c.session.Event()
		if !ok {
			break
		}
		switch e := e.(type) {
		case control.NeedCredentials:
			_ = c.session.SetCredentials(c.user, c.pass)
		case control.Active:
			c.active[e.KeyID] = true
			_, _ = c.session.KeyBlock(e.KeyID, true)
		case control.Text:
			c.texts = append(c.texts, e.Text)
		case control.Failed:
			c.failed = e.Err
		}
	}
	for _, b := range c.session.Output() {
		c.write(b)
	}
}

func (c *caller) write(b []byte) {
	if c.tcp {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	}
	_, _ = c.conn.Write(b)
}

// read returns the next packet, or an error when none comes in time.
func (c *caller) read(limit time.Duration) ([]byte, error) {
	buf := make([]byte, 4096)
	_ = c.conn.SetReadDeadline(time.Now().Add(limit))
	for {
		if c.tcp && len(c.in) >= 2 {
			if n := 2 + int(binary.BigEndian.Uint16(c.in)); len(c.in) >= n {
				pkt := c.in[2:n]
				c.in = c.in[n:]
				return pkt, nil
			}
		}
		n, err := c.conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, io.EOF
		}
		if !c.tcp {
			return buf[:n], nil
		}
		c.in = append(c.in, buf[:n]...)
	}
}

func (c *caller) told(prefix string) bool {
	for _, t := range c.texts {
		if strings.HasPrefix(t, prefix) {
			return true
		}
	}
	return false
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newBareHub is a hub without goroutines, for its decisions.
func newBareHub(b *base, o *config.Options) *hub {
	set := &setup{Options: o, prof: new(config.Connection), tls: new(tlsconf.Config)}
	if b.total == nil {
		b.total = new(engine.Totals)
	}
	a := &aside{base: b, inbox: newInbox(), limiter: newLimiter(), boot: set}
	h := assemble(a)
	h.plane = &plane{aside: a, total: b.total}
	return h
}

func readOr(path string) []byte {
	b, _ := os.ReadFile(path)
	return b
}

// serverCert is a certificate of an authority that nobody knows.
func serverCert(t *testing.T) tls.Certificate {
	t.Helper()
	ca, err := pki.NewCA("CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// claimed is a session whose client has sent its key message.
func claimed(t *testing.T, now time.Time) *session.Session {
	t.Helper()
	cert := serverCert(t)
	s, err := session.New(session.Config{Logins: true, Config: control.Config{Role: keys.Server, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Wrap: ctrlwrap.NewPlain()}}, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := control.New(control.Config{Role: keys.Client, TLS: &tls.Config{InsecureSkipVerify: true}, Wrap: ctrlwrap.NewPlain()}, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for end := time.Now().Add(10 * time.Second); s.Login() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no key message")
		}
		c.Step(now)
		for e, ok := c.Event(); ok; e, ok = c.Event() {
			if _, is := e.(control.NeedCredentials); is {
				_ = c.SetCredentials("", "")
			}
		}
		for _, pkt := range c.Output() {
			_ = s.Input(pkt, now)
		}
		s.Step(now)
		for _, ok := s.Event(); ok; _, ok = s.Event() {
		}
		for _, pkt := range s.Output() {
			_ = c.Input(pkt, now)
		}
	}
	return s
}
