package control_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is one end of a pair: a session with its inbound link and what happened to it.
type side struct {
	t     testing.TB
	name  string
	s     *control.Session
	in    *daemontest.Lossy // towards this side
	peer  *side
	cfg   control.Config
	proto *ctrlwrap.Prototype

	log     []string // events in short form
	texts   []string
	active  map[uint8]time.Time
	failed  []control.Failed
	message *keys.Message
	blocks  map[uint8]*keys.Block
	ekm     bool
	inErr   map[string]int
	largest int
	ops     []wire.Opcode // what this side sent
	user    string
	pass    string
	noKeys  bool // leave out KeyBlock
	p       *pair
}

// drain handles everything the session has to say.
func (d *side) drain(now time.Time) {
	d.t.Helper()
	for {
		p, ok := d.s.Next()
		if !ok {
			break
		}
		d.largest = max(d.largest, len(p))
		op, _, err := wire.ParseHeader(p)
		if err != nil {
			d.t.Fatalf("%s sends %x: %v", d.name, p[:1], err)
		}
		d.ops = append(d.ops, op)
		trace(d.p, d, p)
		d.peer.in.Send(p, now)
	}
	for {
		ev, ok := d.s.Event()
		if !ok {
			return
		}
		d.event(ev, now)
	}
}

func (d *side) event(ev control.Event, now time.Time) {
	d.t.Helper()
	switch ev := ev.(type) {
	case control.InitialPacket:
		d.log = append(d.log, "initial")
	case control.NeedCredentials:
		d.log = append(d.log, fmt.Sprintf("credentials %d", ev.KeyID))
		if err := d.s.SetCredentials(d.user, d.pass); err != nil {
			d.t.Errorf("%s: SetCredentials: %v", d.name, err)
		}
	case control.TLSUp:
		d.log = append(d.log, fmt.Sprintf("tls %d", ev.KeyID))
	case control.KeyMessage:
		d.log = append(d.log, fmt.Sprintf("message %d", ev.KeyID))
		d.message = ev.Message
	case control.Active:
		d.log = append(d.log, fmt.Sprintf("active %d", ev.KeyID))
		d.active[ev.KeyID] = now
		if d.noKeys {
			return
		}
		b, err := d.s.KeyBlock(ev.KeyID, d.ekm)
		if err != nil {
			d.t.Errorf("%s: KeyBlock(%d): %v", d.name, ev.KeyID, err)
			return
		}
		d.blocks[ev.KeyID] = b
	case control.Text:
		d.texts = append(d.texts, ev.Text)
	case control.SoftReset:
		d.log = append(d.log, fmt.Sprintf("reset %d", ev.KeyID))
		delete(d.active, ev.KeyID)
	case control.Expired:
		d.log = append(d.log, fmt.Sprintf("expired %d", ev.KeyID))
	case control.Failed:
		d.log = append(d.log, fmt.Sprintf("failed %d", ev.KeyID))
		d.failed = append(d.failed, ev)
	default:
		d.t.Errorf("%s: event %T", d.name, ev)
	}
}

// receive takes everything that has arrived.
func (d *side) receive(now time.Time) {
	d.t.Helper()
	for {
		p, ok := d.in.Recv(now)
		if !ok {
			return
		}
		if d.s == nil && !d.accept(p, now) {
			continue
		}
		if err := d.s.Input(p, now); err != nil {
			d.inErr[err.Error()]++
		}
	}
}

// accept plays a server in front of its sessions: stateless until the cookie comes back. The cookie here is
// a constant.
func (d *side) accept(p []byte, now time.Time) bool {
	d.t.Helper()
	first, err := d.proto.Verify(p)
	if err != nil {
		d.inErr[err.Error()]++
		return false
	}
	own := wire.SessionID{'c', 'o', 'o', 'k', 'i', 'e', '1', '2'}
	var body wire.ControlBody
	if err := body.Parse(first.Body, first.Op); err != nil {
		return false
	}
	switch first.Op {
	case wire.OpControlHardResetClientV2, wire.OpControlHardResetClientV3:
		answer := wire.ControlBody{Acks: []uint32{0}, PeerSession: first.Session}
		if first.Early {
			answer.Payload = keys.AppendEarlyFlags(nil, keys.EarlyResendWKc)
		}
		out, err := d.proto.Answer(nil, &first, wire.OpControlHardResetServerV2, own,
			answer.Append(nil, wire.OpControlHardResetServerV2), now)
		if err != nil {
			d.t.Fatalf("answer: %v", err)
		}
		d.peer.in.Send(out, now)
		return false
	case wire.OpControlV1, wire.OpAckV1, wire.OpControlWKCV1:
		if len(body.Acks) == 0 || body.PeerSession != own || slices.Max(body.Acks) > 1 ||
			first.Op != wire.OpAckV1 && body.MsgID > 1 {
			return false
		}
		if d.cfg.Wrap == nil && first.Op != wire.OpControlWKCV1 {
			return false // tls-crypt-v2: only message 1 brings the key
		}
		cfg := d.cfg
		cfg.Wrap = d.proto.New(&first, 1)
		cfg.StaticKey = d.proto.StaticKey(&first)
		if d.s, err = control.NewAccepted(cfg, own, first.Session, now); err != nil {
			d.t.Fatal(err)
		}
		return true
	default:
		return false
	}
}

// pair is two sides and the time.
type pair struct {
	t      testing.TB
	client *side
	server *side
	now    time.Time
}

// settings are what a test may choose about a pair.
type settings struct {
	wrap    string // plain, tls-auth, tls-crypt, tls-crypt-v2
	cookie  bool
	weather daemontest.Weather
	seed    uint64
	client  func(*control.Config)
	server  func(*control.Config)
	ekm     bool
	user    string
	pass    string
	key     pki.KeyKind
}

// identities are made once: keys take time.
var identities = func() func(testing.TB, pki.KeyKind) (client, server *tls.Config) {
	type made struct{ client, server *tls.Config }
	cache := map[pki.KeyKind]made{}
	return func(t testing.TB, kind pki.KeyKind) (client, server *tls.Config) {
		t.Helper()
		if m, ok := cache[kind]; ok {
			return m.client.Clone(), m.server.Clone()
		}
		ca, err := pki.NewCA("Lab CA")
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca.Cert)
		end := func(server bool) *tls.Config {
			leaf, err := ca.Issue(pki.Spec{Name: map[bool]string{true: "server", false: "client1"}[server], Server: server, Key: kind})
			if err != nil {
				t.Fatal(err)
			}
			cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
			if err != nil {
				t.Fatal(err)
			}
			c := &tls.Config{Certificates: []tls.Certificate{cert}, Time: realTime, DynamicRecordSizingDisabled: true, SessionTicketsDisabled: true}
			usage := x509.ExtKeyUsageClientAuth
			if server {
				c.ClientAuth = tls.RequireAnyClientCert
			} else {
				c.InsecureSkipVerify = true
				usage = x509.ExtKeyUsageServerAuth
			}
			c.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
				cert, err := x509.ParseCertificate(raw[0])
				if err != nil {
					return err
				}
				_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: realTime(), KeyUsages: []x509.ExtKeyUsage{usage}})
				return err
			}
			return c
		}
		m := made{client: end(false), server: end(true)}
		cache[kind] = m
		return m.client.Clone(), m.server.Clone()
	}
}()

// started is the real time: certificates are made before the bubbles with their fake clocks.
var started = time.Now()

func realTime() time.Time { return started }

func newPair(t testing.TB, o settings) *pair {
	t.Helper()
	p := &pair{t: t, now: started}
	clientTLS, serverTLS := identities(t, o.key)
	static, err := keys.GenerateStaticKey(randReader{})
	if err != nil {
		t.Fatal(err)
	}
	var srv ctrlwrap.Server
	cc := control.Config{
		Role: keys.Client, TLS: clientTLS, LocalOptions: "V4,dev-type tun,tls-client",
		PeerInfo: "IV_VER=2.6.0\nIV_PROTO=926\n", StaticKey: static,
	}
	sc := control.Config{Role: keys.Server, TLS: serverTLS, LocalOptions: "V4,dev-type tun,tls-server", StaticKey: static}
	digest, err := keys.ParseDigest("SHA256")
	if err != nil {
		t.Fatal(err)
	}
	switch o.wrap {
	case "", "plain":
		cc.Wrap, sc.Wrap = ctrlwrap.NewPlain(), ctrlwrap.NewPlain()
		cc.StaticKey, sc.StaticKey = nil, nil
	case "tls-auth":
		cc.Wrap = ctrlwrap.NewTLSAuth(static, keys.Direction1, digest)
		sc.Wrap = ctrlwrap.NewTLSAuth(static, keys.Direction0, digest)
		srv = ctrlwrap.Server{TLSAuthKey: static, Direction: keys.Direction0, Digest: digest}
	case "tls-crypt":
		cc.Wrap, sc.Wrap = ctrlwrap.NewTLSCrypt(static, keys.Client), ctrlwrap.NewTLSCrypt(static, keys.Server)
		srv = ctrlwrap.Server{TLSCrypt: static}
	case "tls-crypt-v2":
		wk, err := keys.GenerateWrapKey(randReader{})
		if err != nil {
			t.Fatal(err)
		}
		meta, err := keys.UserMetadata([]byte("test"))
		if err != nil {
			t.Fatal(err)
		}
		wkc, err := wk.Wrap(static, meta)
		if err != nil {
			t.Fatal(err)
		}
		cc.Wrap = ctrlwrap.NewTLSCryptV2Client(static, wkc)
		cc.ResetOp = wire.OpControlHardResetClientV3
		srv = ctrlwrap.Server{WrapKey: wk}
		if !o.cookie {
			sc.Wrap = ctrlwrap.NewTLSCryptV2Server(static)
		}
	default:
		t.Fatalf("wrapping %q", o.wrap)
	}
	if o.weather.Loss > 0 {
		// Retransmits double their distance: a minute is five attempts, and storms swallow that.
		cc.HandWindow, sc.HandWindow = 15*time.Minute, 15*time.Minute
	}
	if o.client != nil {
		o.client(&cc)
	}
	if o.server != nil {
		o.server(&sc)
	}
	link := func(seed uint64) *daemontest.Lossy { return daemontest.NewLossy(seed, o.weather) }
	newSide := func(name string, cfg control.Config, seed uint64) *side {
		return &side{
			t: t, name: name, cfg: cfg, in: link(seed), ekm: o.ekm,
			active: map[uint8]time.Time{}, blocks: map[uint8]*keys.Block{}, inErr: map[string]int{},
		}
	}
	p.client = newSide("client", cc, 2*o.seed+1)
	p.server = newSide("server", sc, 2*o.seed+2)
	p.client.peer, p.server.peer = p.server, p.client
	p.client.p, p.server.p = p, p
	p.client.user, p.client.pass = o.user, o.pass
	p.server.proto = ctrlwrap.NewPrototype(srv)
	if p.client.s, err = control.New(cc, p.now); err != nil {
		t.Fatal(err)
	}
	if !o.cookie {
		if p.server.s, err = control.New(sc, p.now); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(p.close)
	return p
}

func (p *pair) close() {
	for _, d := range []*side{p.client, p.server} {
		if d.s != nil {
			d.s.Close()
		}
	}
}

// turn lets both sides do what can be done at this time, and returns when there is more to do.
func (p *pair) turn() (next time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, d := range []*side{p.client, p.server} {
		d.receive(p.now)
		if d.s == nil {
			continue
		}
		d.s.Step(p.now)
		synctest.Wait() // handshakes have come as far as they can
		d.s.Step(p.now)
		d.drain(p.now) // may answer NeedCredentials
		deadline := d.s.Step(p.now)
		d.drain(p.now)
		if !deadline.IsZero() && !deadline.After(p.now) {
			deadline = p.now.Add(time.Millisecond)
		}
		earliest(deadline)
	}
	earliest(p.client.in.Next())
	earliest(p.server.in.Next())
	return next
}

// until runs the pair until the condition holds or the time is over.
func (p *pair) until(limit time.Duration, done func() bool) bool {
	p.t.Helper()
	end := p.now.Add(limit)
	for range 200000 {
		next := p.turn()
		if done() {
			return true
		}
		if next.IsZero() || next.After(end) {
			p.now = end
			p.turn()
			return done()
		}
		if next.After(p.now) {
			p.now = next
		}
	}
	p.t.Fatalf("no progress: client %v, server %v", p.client.log, p.server.log)
	return false
}

func (p *pair) bothActive(id uint8) func() bool {
	return func() bool {
		_, c := p.client.active[id]
		_, s := p.server.active[id]
		return c && s
	}
}

// connect brings the first key up.
func (p *pair) connect() {
	p.t.Helper()
	if !p.until(15*time.Minute, p.bothActive(0)) {
		p.t.Fatalf("not connected:\nclient %v %v\nserver %v %v", p.client.log, p.client.inErr, p.server.log, p.server.inErr)
	}
}

func (p *pair) sameBlocks(id uint8) {
	p.t.Helper()
	c, s := p.client.blocks[id], p.server.blocks[id]
	if c == nil || s == nil || !bytes.Equal(c[:], s[:]) {
		p.t.Errorf("key %d: the ends derived different key blocks", id)
	}
}
