package server

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/cookie"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// wall is a link that keeps what is sent.
type wall struct {
	transport.Link
	sent [][]byte
	to   []transport.Peer

	closed bool
}

func (w *wall) Close() error {
	w.closed = true
	return nil
}

func (w *wall) Send(p transport.Peer, pkts [][]byte) error {
	for _, b := range pkts {
		w.sent, w.to = append(w.sent, slices.Clone(b)), append(w.to, p)
	}
	return nil
}

// door is a preHandshake with a client on the other side of it.
type door struct {
	*preHandshake
	wall     *wall
	admitted []newcomer
	refused  int    // packets that did not verify
	turned   int    // answered with silence for a reason of the hub's
	closed   string // why the hub is sure to refuse
	client   ctrlwrap.Wrapper
	at       transport.Peer
	now      time.Time
}

var clientSession = wire.SessionID{1, 2, 3, 4, 5, 6, 7, 8}

func newDoor(t *testing.T, cfg ctrlwrap.Server, client ctrlwrap.Wrapper) *door {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	jar, err := cookie.New(rand.Reader, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{wall: &wall{}, client: client, at: transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4000")}, now: now}
	d.preHandshake = &preHandshake{
		proto: ctrlwrap.NewPrototype(cfg), cookies: jar, answers: ratelimit.NewPerPrefix(200, 20*time.Second),
		admit:      func(n newcomer) { d.admitted = append(d.admitted, n) },
		unverified: func(transport.Peer, error) { d.refused++ },
		refused:    func(transport.Peer, string) { d.turned++ },
		senseless:  func(transport.Peer, string) {},
		refuses:    func(ctrlwrap.First, transport.Peer, time.Time) string { return d.closed },
	}
	return d
}

// packet makes a packet of the client.
func (d *door) packet(t *testing.T, op wire.Opcode, keyID uint8, sid wire.SessionID, body wire.ControlBody) []byte {
	t.Helper()
	pkt, err := d.client.Wrap(nil, op, keyID, sid, body.Append(nil, op), d.now)
	if err != nil {
		t.Fatal(err)
	}
	return pkt
}

// knock sends a hard reset and returns the answer's session id, the cookie.
func (d *door) knock(t *testing.T, op wire.Opcode) (reset []byte, cookie wire.SessionID) {
	t.Helper()
	reset = d.packet(t, op, 0, clientSession, wire.ControlBody{})
	d.handle(d.wall, d.at, slices.Clone(reset), d.now)
	if len(d.wall.sent) != 1 {
		t.Fatalf("%d answers to a reset", len(d.wall.sent))
	}
	answered, _, sid, raw, err := d.client.Unwrap(slices.Clone(d.wall.sent[0]), d.now)
	if err != nil {
		t.Fatal(err)
	}
	var body wire.ControlBody
	if err := body.Parse(raw, answered); err != nil {
		t.Fatal(err)
	}
	if answered != wire.OpControlHardResetServerV2 || !slices.Equal(body.Acks, []uint32{0}) || body.PeerSession != clientSession || body.MsgID != 0 {
		t.Fatalf("answer %v %+v", answered, body)
	}
	return reset, sid
}

// wrappings are both ends of every wrapping, with the sizes of reset and answer.
func wrappings(t *testing.T) map[string]struct {
	server ctrlwrap.Server
	client func() ctrlwrap.Wrapper
	reset  wire.Opcode
	sizes  [2]int
} {
	t.Helper()
	key := new(keys.StaticKey)
	wrap, err := keys.GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v2 := keys.ClientKey{Key: *key}
	v2.WKc, err = wrap.Wrap(key, keys.TimeMetadata(time.Unix(1_800_000_000, 0)))
	if err != nil {
		t.Fatal(err)
	}
	sha1, err := keys.ParseDigest("SHA1")
	if err != nil {
		t.Fatal(err)
	}
	v2Out := wire.OpControlHardResetClientV3
	return map[string]struct {
		server ctrlwrap.Server
		client func() ctrlwrap.Wrapper
		reset  wire.Opcode
		sizes  [2]int
	}{
		"none":         {ctrlwrap.Server{}, ctrlwrap.NewPlain, wire.OpControlHardResetClientV2, [2]int{14, 26}},
		"tls-auth":     {ctrlwrap.Server{TLSAuthKey: key, Digest: sha1}, func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSAuth(key, keys.Bidirectional, sha1) }, wire.OpControlHardResetClientV2, [2]int{42, 54}},
		"tls-crypt":    {ctrlwrap.Server{TLSCrypt: key}, func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSCrypt(key, keys.Client) }, wire.OpControlHardResetClientV2, [2]int{54, 66}},
		"tls-crypt-v2": {ctrlwrap.Server{WrapKey: wrap}, func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSCryptV2Client(&v2.Key, v2.WKc) }, v2Out, [2]int{54 + len(v2.WKc), 72}},
	}
}

// A reset gets one answer of the size the rules allow; who returns its cookie is let in.
func TestPreHandshakeAdmits(t *testing.T) {
	for name, w := range wrappings(t) {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, w.server, w.client())
			reset, own := d.knock(t, w.reset)
			if got := [2]int{len(reset), len(d.wall.sent[0])}; got != w.sizes {
				t.Errorf("reset and answer have %v bytes, want %v", got, w.sizes)
			}
			if d.wall.to[0] != d.at || len(d.admitted) != 0 {
				t.Fatalf("the answer went to %v, %d admitted", d.wall.to[0], len(d.admitted))
			}
			op := wire.OpControlV1
			if w.reset == wire.OpControlHardResetClientV3 {
				op = wire.OpControlWKCV1
			}
			d.handle(d.wall, d.at, d.packet(t, op, 0, clientSession, wire.ControlBody{Acks: []uint32{0}, PeerSession: own, MsgID: 1, Payload: []byte("hello")}), d.now)
			if len(d.admitted) != 1 || len(d.wall.sent) != 1 {
				t.Fatalf("%d admitted, %d answers", len(d.admitted), len(d.wall.sent))
			}
			if n := d.admitted[0]; n.own != own || n.peer != clientSession || !n.proved || n.from != d.at {
				t.Errorf("admitted %+v", n)
			}
		})
	}
}

// The rest of a first flight follows its beginning, from the same address alone. Under tls-crypt-v2 preHandshake cannot
// read it: the client's key comes with the beginning only.
func TestPreHandshakeLetsTheRestFollow(t *testing.T) {
	for name, w := range wrappings(t) {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, w.server, w.client())
			_, own := d.knock(t, w.reset)
			first := wire.OpControlV1
			if w.reset == wire.OpControlHardResetClientV3 {
				first = wire.OpControlWKCV1
			}
			second := d.packet(t, wire.OpControlV1, 0, clientSession, wire.ControlBody{MsgID: 2, Payload: []byte("rest")})
			d.handle(d.wall, d.at, second, d.now)
			if len(d.admitted) != 0 {
				t.Fatal("a second message was let in before the first")
			}
			d.handle(d.wall, d.at, d.packet(t, first, 0, clientSession, wire.ControlBody{Acks: []uint32{0}, PeerSession: own, MsgID: 1}), d.now)
			d.handle(d.wall, d.at, second, d.now)
			if len(d.admitted) != 2 || d.admitted[0].follows || !d.admitted[1].follows || !bytes.Equal(d.admitted[1].packet, second) {
				t.Fatalf("admitted %+v", d.admitted)
			}
			elsewhere := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.9:4000")}
			d.handle(d.wall, elsewhere, second, d.now)
			if len(d.admitted) != 2 {
				t.Error("another address followed")
			}
		})
	}
}

// Repeated resets get the same cookie, until the rate is used up.
func TestPreHandshakeAnswersAlike(t *testing.T) {
	d := newDoor(t, ctrlwrap.Server{}, ctrlwrap.NewPlain())
	for range 150 {
		d.handle(d.wall, d.at, d.packet(t, wire.OpControlHardResetClientV2, 0, clientSession, wire.ControlBody{}), d.now)
	}
	if len(d.wall.sent) != 100 {
		t.Errorf("%d answers to 150 resets, want 100", len(d.wall.sent))
	}
	for _, b := range d.wall.sent {
		if !bytes.Equal(b, d.wall.sent[0]) {
			t.Fatalf("answers differ: %x, %x", d.wall.sent[0], b)
		}
	}
}

// What is not a reset or the echo of a cookie gets silence.
func TestPreHandshakeIsSilent(t *testing.T) {
	type body = wire.ControlBody
	for _, tt := range []struct {
		name  string
		op    wire.Opcode
		keyID uint8
		sid   wire.SessionID
		body  func(own wire.SessionID) body
		from  string
		later time.Duration
	}{
		{name: "bad cookie", op: wire.OpControlV1, sid: clientSession, body: func(wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: wire.SessionID{9}, MsgID: 1} }},
		{name: "message 2", op: wire.OpControlV1, sid: clientSession, body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 2} }},
		{name: "ack of 2", op: wire.OpAckV1, sid: clientSession, body: func(own wire.SessionID) body { return body{Acks: []uint32{0, 2}, PeerSession: own} }},
		{name: "no acks", op: wire.OpControlV1, sid: clientSession, body: func(own wire.SessionID) body { return body{MsgID: 1} }},
		{name: "key id", op: wire.OpControlV1, keyID: 1, sid: clientSession, body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 1} }},
		{name: "zero session id", op: wire.OpControlHardResetClientV2, body: func(own wire.SessionID) body { return body{} }},
		{name: "reset with message 1", op: wire.OpControlHardResetClientV2, sid: clientSession, body: func(own wire.SessionID) body { return body{MsgID: 1} }},
		{name: "reset of a server", op: wire.OpControlHardResetServerV2, sid: clientSession, body: func(own wire.SessionID) body { return body{} }},
		{name: "soft reset", op: wire.OpControlSoftResetV1, sid: clientSession, body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 0} }},
		{name: "another client's cookie", op: wire.OpControlV1, sid: wire.SessionID{7}, body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 1} }},
		{name: "cookie from elsewhere", op: wire.OpControlV1, sid: clientSession, from: "192.0.2.2:4000", body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 1} }},
		{name: "cookie from another port", op: wire.OpControlV1, sid: clientSession, from: "192.0.2.1:4001", body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 1} }},
		{name: "old cookie", op: wire.OpControlV1, sid: clientSession, later: 2 * time.Minute, body: func(own wire.SessionID) body { return body{Acks: []uint32{0}, PeerSession: own, MsgID: 1} }},
	} {
		for _, name := range []string{"none", "tls-crypt"} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				w := wrappings(t)[name]
				d := newDoor(t, w.server, w.client())
				_, own := d.knock(t, w.reset)
				at := d.at
				if tt.from != "" {
					at.Addr = netip.MustParseAddrPort(tt.from)
				}
				d.handle(d.wall, at, d.packet(t, tt.op, tt.keyID, tt.sid, tt.body(own)), d.now.Add(tt.later))
				if len(d.admitted) != 0 || len(d.wall.sent) != 1 {
					t.Errorf("%d admitted, %d more answers", len(d.admitted), len(d.wall.sent)-1)
				}
			})
		}
	}
}

// Packets that are cut or changed anywhere get silence, and are counted where there is a key to check them with.
func TestPreHandshakeWithMangledPackets(t *testing.T) {
	for name, w := range wrappings(t) {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, w.server, w.client())
			reset, _ := d.knock(t, w.reset)
			for n := range len(reset) {
				d.handle(d.wall, d.at, slices.Clone(reset[:n]), d.now)
			}
			if len(d.wall.sent) != 1 {
				t.Errorf("%d answers to cut resets", len(d.wall.sent)-1)
			}
			if name == "none" {
				return // every change of a plain reset is another reset
			}
			for n := range len(reset) {
				bad := slices.Clone(reset)
				bad[n] ^= 0x10
				d.handle(d.wall, d.at, bad, d.now)
			}
			if len(d.wall.sent) != 1 || len(d.admitted) != 0 || d.refused == 0 {
				t.Errorf("%d answers to changed resets, %d admitted, %d noted", len(d.wall.sent)-1, len(d.admitted), d.refused)
			}
		})
	}
}

// A stream has proved its address: its reset is let in at once, and nothing else is. What cannot become a client is closed.
func TestPreHandshakeOfStreams(t *testing.T) {
	other := newDoor(t, ctrlwrap.Server{}, ctrlwrap.NewPlain())
	reset := other.packet(t, wire.OpControlHardResetClientV2, 0, clientSession, wire.ControlBody{})
	for _, tt := range []struct {
		name string
		pkt  []byte
		why  string // "" is let in
	}{
		{"reset", reset, ""},
		{"control packet", other.packet(t, wire.OpControlV1, 0, clientSession, wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{1}, MsgID: 1}), noReset},
		{"acknowledgement", other.packet(t, wire.OpAckV1, 0, clientSession, wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{1}}), noReset},
		{"server's reset", other.packet(t, wire.OpControlHardResetServerV2, 0, clientSession, wire.ControlBody{}), noReset},
		{"reset with key id 1", other.packet(t, wire.OpControlHardResetClientV2, 1, clientSession, wire.ControlBody{}), noSession},
		{"reset without a session id", other.packet(t, wire.OpControlHardResetClientV2, 0, wire.SessionID{}, wire.ControlBody{}), noPacket},
		{"second message", other.packet(t, wire.OpControlHardResetClientV2, 0, clientSession, wire.ControlBody{MsgID: 1}), noPacket},
		{"too short", reset[:len(reset)-1], noSession},
		{"one byte", reset[:1], noSession},
		{"opcode 0", []byte("\x00aaaaaaaaaaaaa"), noOpcode},
		{"opcode 31", []byte("\xf8aaaaaaaaaaaaa"), noOpcode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t, ctrlwrap.Server{}, ctrlwrap.NewPlain())
			d.stream = true
			var why string
			d.senseless = func(_ transport.Peer, reason string) { why = reason }
			d.handle(d.wall, d.at, slices.Clone(tt.pkt), d.now)
			if in := len(d.admitted) == 1; why != tt.why || in != (tt.why == "") || d.wall.closed != !in || len(d.wall.sent) != 0 {
				t.Errorf("let in: %v, closed: %v because of %q, %d answers; want it closed because of %q", in, d.wall.closed, why, len(d.wall.sent), tt.why)
			}
		})
	}
}

// Once a stream has begun as a client does, what comes while its instance is made or ends closes nothing.
func TestStreamsOfClientsStay(t *testing.T) {
	d := newDoor(t, ctrlwrap.Server{}, ctrlwrap.NewPlain())
	d.stream = true
	d.senseless = func(_ transport.Peer, why string) { t.Errorf("closed: %s", why) }
	d.handle(d.wall, d.at, d.packet(t, wire.OpControlHardResetClientV2, 0, clientSession, wire.ControlBody{}), d.now)
	d.handle(d.wall, d.at, d.packet(t, wire.OpControlV1, 0, clientSession, wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{1}, MsgID: 1}), d.now)
	if len(d.admitted) != 1 || d.wall.closed {
		t.Errorf("%d admitted, closed: %v", len(d.admitted), d.wall.closed)
	}
}

// Packets from unknown addresses cost no memory once the buffers are there.
func TestPreHandshakeAllocates(t *testing.T) {
	d := newDoor(t, ctrlwrap.Server{}, ctrlwrap.NewPlain())
	d.answers = ratelimit.NewPerPrefix(1, time.Hour)
	reset, _ := d.knock(t, wire.OpControlHardResetClientV2)
	if n := testing.AllocsPerRun(100, func() { d.handle(d.wall, d.at, reset, d.now) }); n > 0 {
		t.Errorf("%v allocations for a reset above the rate", n)
	}
}
