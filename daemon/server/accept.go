package server

import (
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/cookie"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// preHandshake handles packets from unknown addresses. It keeps no state for them: a hard reset gets one answer
// that carries a cookie as session id, and a client that returns the cookie goes to the hub. The rest of a long first
// flight, sent before the hub has made the instance, follows it. Each link has a preHandshake of its own; all share the
// cookie secret and the rate limit.
//
// Rule: docs/protocol.md#211-handshake-as-seen-by-a-server and docs/protocol.md#7-security-requirements.
type preHandshake struct {
	proto   *ctrlwrap.Prototype
	cookies *cookie.Jar
	answers *ratelimit.PerPrefix // connect-freq-initial
	// regulars is the same for networks whose clients were in: resets with forged addresses use up what all share.
	regulars *ratelimit.Regulars
	force    bool // tls-crypt-v2 force-cookie
	stream   bool // a TCP link: its address needs no proof
	// refuses is why the hub is sure to refuse a client, "" when it is not.
	refuses    func(f ctrlwrap.First, from transport.Peer, now time.Time) string
	admit      func(newcomer)
	unverified func(from transport.Peer, err error)
	refused    func(from transport.Peer, why string)
	// senseless tells of a stream that is closed because it did not begin as a client does.
	senseless func(from transport.Peer, why string)
	handed    bool // on a stream: it began as a client does

	// recent are the addresses admitted last, a ring.
	recent [recentClients]transport.Peer
	next   int

	out  []byte
	body []byte
	pkts [1][]byte
}

// recentClients is how many clients may be between preHandshake and the hub without losing packets.
const recentClients = 64

// newcomer is a client that has proved its address, with the packet that did it.
type newcomer struct {
	link  transport.Link
	from  transport.Peer
	first ctrlwrap.First // Body is not valid any more
	// proved: own and peer are the session ids of the cookie round trip. Otherwise packet is the client's hard reset.
	proved    bool
	own, peer wire.SessionID
	packet    []byte
	// follows: the packet belongs to a client that was admitted shortly before.
	follows bool
	// replaces: it takes the place of the client at its address, if it proves to be the same.
	replaces bool
	// creation is connect-freq for one that replaces another.
	creation *ratelimit.Bucket
	// metadataGood: tls-crypt-v2-verify has accepted the client's key.
	metadataGood bool
}

// minReset is the shortest complete hard reset.
const minReset = 14

// handle handles one control packet, or one of no known kind, from an unknown address. A stream that does not begin as a
// client's does has nothing to wait for and is closed.
func (d *preHandshake) handle(l transport.Link, from transport.Peer, pkt []byte, now time.Time) {
	if why := d.take(l, from, pkt, now); why != "" && d.stream && !d.handed {
		d.senseless(from, why)
		_ = l.Close()
	}
}

// Why the first packet of a stream makes no sense.
const (
	noOpcode  = "unknown opcode received"
	noSession = "session-id not found in packet"
	noReset   = "no client's hard reset but another control packet received"
	noPacket  = "malformed control packet received"
)

// take handles one packet and returns why it leads to nothing, if by itself it cannot.
func (d *preHandshake) take(l transport.Link, from transport.Peer, pkt []byte, now time.Time) (why string) {
	// Cheap checks first: nothing here is authenticated.
	op, keyID, err := wire.ParseHeader(pkt)
	switch {
	case err != nil:
		return noOpcode
	case keyID != 0 || len(pkt) < minReset:
		return noSession
	}
	reset := op == wire.OpControlHardResetClientV2 || op == wire.OpControlHardResetClientV3
	if !reset && (d.stream || op != wire.OpControlV1 && op != wire.OpAckV1 && op != wire.OpControlWKCV1) {
		return noReset // a stream needs no cookie that another packet could bring back
	}
	f, err := d.proto.Verify(pkt)
	if err != nil {
		if reset || !d.follow(l, from, pkt) { // the rest of a flight comes without the client's key
			d.unverified(from, err)
		}
		return noPacket
	}
	if f.Session.IsZero() {
		return noSession
	}
	var body wire.ControlBody
	if err := body.Parse(f.Body, op); err != nil {
		return noPacket
	}
	if reset {
		if why := d.refuses(f, from, now); why != "" {
			d.refused(from, why)
			if d.stream {
				_ = l.Close()
			}
			return ""
		}
	}
	switch {
	case reset && (d.stream || op == wire.OpControlHardResetClientV3 && !f.Early && !d.force):
		// A stream has proved its address; a client of 2.5 cannot send its key again, so that state is needed now.
		if body.MsgID == 0 && (d.stream || d.mayAnswer(from, now)) {
			d.hand(newcomer{link: l, from: from, first: f, packet: slices.Clone(pkt)})
		} else if d.stream {
			return noPacket
		}
	case reset:
		if body.MsgID == 0 && (op != wire.OpControlHardResetClientV3 || f.Early) && d.mayAnswer(from, now) {
			d.answer(l, from, &f, now)
		}
	case !d.returned(l, from, &f, &body, pkt, now):
		d.follow(l, from, pkt)
	}
	return ""
}

// mayAnswer reports whether a reset may be answered.
func (d *preHandshake) mayAnswer(from transport.Peer, now time.Time) bool {
	a := from.Addr.Addr()
	return d.answers.Allow(a, now) || d.regulars.Allow(a, now)
}

// follow hands on a packet from an address that was admitted shortly before, and reports whether it is one. Its session
// verifies it.
func (d *preHandshake) follow(l transport.Link, from transport.Peer, pkt []byte) bool {
	if !slices.Contains(d.recent[:], from) {
		return false
	}
	d.hand(newcomer{link: l, from: from, follows: true, packet: slices.Clone(pkt)})
	return true
}

// answer sends the only packet that a hard reset gets: our reset, with the cookie as session id and the ack inside.
func (d *preHandshake) answer(l transport.Link, from transport.Peer, f *ctrlwrap.First, now time.Time) {
	own := d.cookies.Session(from.Addr, f.Session, now)
	reply := wire.ControlBody{Acks: []uint32{0}, PeerSession: f.Session}
	if f.Op == wire.OpControlHardResetClientV3 {
		reply.Payload = keys.AppendEarlyFlags(nil, keys.EarlyResendWKc)
	}
	d.body = reply.Append(d.body[:0], wire.OpControlHardResetServerV2)
	out, err := d.proto.Answer(d.out[:0], f, wire.OpControlHardResetServerV2, own, d.body, now)
	if err != nil {
		return
	}
	d.out = out
	d.pkts[0] = out
	_ = l.Send(from, d.pkts[:]) // lost like any datagram: the client asks again
}

// returned admits a client whose packet echoes a cookie of ours, acknowledges nothing but our reset and the first
// message, and is one of the client's first two. It reports whether it did.
func (d *preHandshake) returned(l transport.Link, from transport.Peer, f *ctrlwrap.First, body *wire.ControlBody, pkt []byte, now time.Time) bool {
	if len(body.Acks) == 0 || slices.Max(body.Acks) > 1 || f.Op != wire.OpAckV1 && body.MsgID > 1 {
		return false
	}
	if !d.cookies.Verify(from.Addr, f.Session, body.PeerSession, now) {
		return false
	}
	if !slices.Contains(d.recent[:], from) {
		d.recent[d.next] = from
		d.next = (d.next + 1) % recentClients
	}
	d.hand(newcomer{link: l, from: from, first: *f, proved: true, own: body.PeerSession, peer: f.Session, packet: slices.Clone(pkt)})
	return true
}

func (d *preHandshake) hand(n newcomer) {
	n.first.Body = nil
	d.handed = true
	d.admit(n)
}
