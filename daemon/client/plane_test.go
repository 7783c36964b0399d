package client

import (
	"bytes"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// channels are both ends of a data channel.
func channels(t *testing.T, now time.Time) (client, server *data.Channel) {
	t.Helper()
	block, err := keys.NewBlock(bytes.Repeat([]byte("moongate"), 32))
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*data.Channel
	for n, role := range []keys.Role{keys.Client, keys.Server} {
		if ends[n], err = data.New(data.Params{Role: role, Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64, MSSLimit: 1400}); err != nil {
			t.Fatal(err)
		}
		if err := ends[n].SetKey(0, block, now); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// sentAt is a link that keeps what is sent, and when.
type sentAt struct {
	transport.Link
	pkts  [][]byte
	times []time.Time
}

func (l *sentAt) Send(_ transport.Peer, pkts [][]byte) error {
	for _, p := range pkts {
		l.pkts, l.times = append(l.pkts, bytes.Clone(p)), append(l.times, time.Now())
	}
	return nil
}

// written is a device that keeps what is written.
type written struct {
	tun.Device
	pkts [][]byte
}

func (d *written) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		d.pkts = append(d.pkts, bytes.Clone(b[offset:]))
	}
	return len(bufs), nil
}

// sendAll runs payloads from a device through the outbound plane of a connection.
func sendAll(p *path, now *atomic.Pointer[path], payloads ...[]byte) {
	o := &outbound{path: now, total: new(atomic.Uint64)}
	bufs, sizes := make([][]byte, len(payloads)), make([]int, len(payloads))
	for n, payload := range payloads {
		bufs[n], sizes[n] = append(make([]byte, tun.Offset), payload...), len(payload)
	}
	now.Store(p)
	o.send(new(data.Batch), nil, bufs, sizes)
}

// shaper lets a packet leave when those before it have had their time, and stops waiting when the connection is replaced.
func TestShaperPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := channels(t, time.Now())
		link := new(sentAt)
		const rate, size = 1000, 100
		p := &path{link: link, peer: transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1194")}, channel: client, traffic: new(session.Traffic), filter: &filter{rate: rate}}
		payload := append([]byte{0x45}, make([]byte, size-1)...)
		var now atomic.Pointer[path]
		sendAll(p, &now, payload, payload, payload)
		if len(link.pkts) != 3 {
			t.Fatalf("%d packets left, want 3", len(link.pkts))
		}
		gap := time.Duration(size+client.Overhead()) * time.Second / rate
		for n := 1; n < 3; n++ {
			if took := link.times[n].Sub(link.times[n-1]); took < gap || took > gap+shapeStep {
				t.Errorf("packet %d left %v after the one before, want %v", n, took, gap)
			}
		}
		for _, pkt := range link.pkts {
			if got, kind, err := server.Open(pkt, time.Now()); err != nil || kind != data.Packet || !bytes.Equal(got, payload) {
				t.Errorf("opened %d bytes, %v %v", len(got), kind, err)
			}
		}
		go func() {
			time.Sleep(gap / 2)
			now.Store(&path{})
		}()
		sendAll(p, &now, payload, payload)
		if len(link.pkts) != 3 {
			t.Errorf("%d packets left of a connection that is over", len(link.pkts)-3)
		}
	})
}

// block-ipv6 answers IPv6 packets at the device and lets IPv4 pass.
func TestBlockedIPv6IsAnswered(t *testing.T) {
	client, _ := channels(t, time.Now())
	link, dev := new(sentAt), new(written)
	p := &path{link: link, peer: transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1194")}, channel: client, device: dev, traffic: new(session.Traffic), blockV6: true}
	six := make([]byte, 48)
	six[0], six[6] = 0x60, 17
	six[8], six[23], six[24], six[39] = 0xfd, 1, 0xfd, 2
	var now atomic.Pointer[path]
	sendAll(p, &now, six, append([]byte{0x45}, make([]byte, 19)...))
	if len(link.pkts) != 1 {
		t.Errorf("%d packets left, want the IPv4 one", len(link.pkts))
	}
	if len(dev.pkts) != 1 || dev.pkts[0][40] != 1 || !bytes.Equal(dev.pkts[0][24:40], six[8:24]) {
		t.Errorf("the device gets %x, want an ICMPv6 error for the sender", dev.pkts)
	}
}

// The peer's questions in the data channel are answered on the link; an answer of the peer goes to the owner, if it asked.
func TestInBandQuestions(t *testing.T) {
	start := time.Now()
	client, server := channels(t, start)
	link := new(sentAt)
	var owner [][]byte
	p := &path{link: link, channel: client, traffic: new(session.Traffic), options: "V4,our options"}
	in := &inbound{answer: func(msg []byte) { owner = append(owner, msg) }}
	ask := func(typ data.OCCType, body ...byte) {
		t.Helper()
		pkt, err := server.SealControl(nil, data.AppendOCC(nil, typ, body), start)
		if err != nil {
			t.Fatal(err)
		}
		in.open(p, pkt, start)
	}
	ask(data.OCCRequest)
	if len(link.pkts) != 1 {
		t.Fatalf("%d answers", len(link.pkts))
	}
	got, kind, err := server.Open(link.pkts[0], start)
	if err != nil || kind != data.OCC || data.OCCType(got[0]) != data.OCCReply || !strings.HasPrefix(string(got[1:]), "V4,our options") {
		t.Errorf("answered %q, %v %v", got, kind, err)
	}
	ask(data.OCCMTUReply, 5, 0, 4, 0)
	if len(link.pkts) != 1 || len(owner) != 1 {
		t.Errorf("%d packets, %d answers for the owner", len(link.pkts), len(owner))
	}
	ask(99)
	if len(link.pkts) != 1 || len(owner) != 1 {
		t.Error("a message of no known type is answered")
	}
}
