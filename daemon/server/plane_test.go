package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// mailbox is a link that keeps what each client is sent.
type mailbox struct {
	transport.Link
	sent map[netip.AddrPort][][]byte
}

func (l *mailbox) Send(p transport.Peer, pkts [][]byte) error {
	for _, pkt := range pkts {
		l.sent[p.Addr] = append(l.sent[p.Addr], bytes.Clone(pkt))
	}
	return nil
}

func (l *mailbox) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// taps is a device that keeps what is written.
type taps struct {
	tun.Device
	pkts [][]byte
}

func (d *taps) BatchSize() int { return 8 }

func (d *taps) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		d.pkts = append(d.pkts, bytes.Clone(b[offset:]))
	}
	return len(bufs), nil
}

// newChannel is one end of a data channel with AES-256-GCM and a key that all ends share.
func newChannel(t testing.TB, p data.Params, now time.Time) *data.Channel {
	t.Helper()
	p.Cipher, p.V2, p.ReplayWindow = "AES-256-GCM", true, 64
	block, err := keys.NewBlock(bytes.Repeat([]byte("moongate"), 32))
	if err != nil {
		t.Fatal(err)
	}
	c, err := data.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetKey(0, block, now); err != nil {
		t.Fatal(err)
	}
	return c
}

// crowd is a data plane with three clients, 10.8.0.2 to 10.8.0.4, and their ends of the channels.
type crowd struct {
	*plane
	link    *mailbox
	dev     *taps
	clients []*instance
	ends    []*data.Channel
	now     time.Time
}

func newCrowd(t *testing.T, change func(p *plane, clients []*instance)) *crowd {
	t.Helper()
	c := &crowd{link: &mailbox{sent: make(map[netip.AddrPort][][]byte)}, dev: new(taps), now: time.Now()}
	b := &base{deps: Deps{Log: logging.Discard()}}
	c.plane = &plane{
		dev: c.dev, maxPacket: 1500, table: newTable(4), routes: new(forward.Table[*dataPath]), stations: new(forward.Stations[*dataPath]), total: &engine.Totals{},
		aside: &aside{base: b, inbox: newInbox(), boot: new(setup), limiter: newLimiter()},
	}
	for n := range 3 {
		i := &instance{dataPath: dataPath{link: c.link}}
		i.peer.Store(&transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 1194)})
		if !c.table.add(i) {
			t.Fatal("no slot")
		}
		for _, role := range []keys.Role{keys.Server, keys.Client} {
			ch := newChannel(t, data.Params{Role: role, PeerID: i.slot}, c.now)
			if role == keys.Server {
				i.tunnel.Store(ch)
			} else {
				c.ends = append(c.ends, ch)
			}
		}
		c.routes.Add(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(2 + n)}), 32), &i.dataPath, second(c.now))
		c.clients = append(c.clients, i)
	}
	if change != nil {
		change(c.plane, c.clients)
	}
	return c
}

// packet4 is an IPv4 packet without content.
func packet4(src, dst string) []byte {
	p := make([]byte, 20)
	p[0] = 0x45
	copy(p[12:], netip.MustParseAddr(src).AsSlice())
	copy(p[16:], netip.MustParseAddr(dst).AsSlice())
	return p
}

// got says who has a payload: clients by number, and the device.
func (c *crowd) got(t *testing.T, payload []byte) (who []string) {
	t.Helper()
	for n, i := range c.clients {
		for _, pkt := range c.link.sent[i.peer.Load().Addr] {
			p, kind, err := c.ends[n].Open(pkt, c.now)
			if err != nil || kind != data.Packet || !bytes.Equal(p, payload) {
				t.Errorf("client %d got %x, %v %v", n, p, kind, err)
			}
			who = append(who, fmt.Sprint(n))
		}
	}
	for _, p := range c.dev.pkts {
		if !bytes.Equal(p, payload) {
			t.Errorf("the device got %x", p)
		}
		who = append(who, "device")
	}
	return who
}

// Where a packet of client 0 goes: by its destination, and by who may hear it.
func TestWhereAClientsPacketGoes(t *testing.T) {
	between := func(p *plane, _ []*instance) { p.clientToClient = true }
	for _, tt := range []struct {
		name     string
		change   func(*plane, []*instance)
		src, dst string
		want     []string
		bad      uint64
	}{
		{name: "out of the tunnel", src: "10.8.0.2", dst: "192.0.2.9", want: []string{"device"}},
		{name: "another client, by the system", src: "10.8.0.2", dst: "10.8.0.3", want: []string{"device"}},
		{name: "another client, directly", change: between, src: "10.8.0.2", dst: "10.8.0.3", want: []string{"1"}},
		{name: "itself", change: between, src: "10.8.0.2", dst: "10.8.0.2"},
		{name: "a group", change: between, src: "10.8.0.2", dst: "224.0.0.9", want: []string{"1", "2", "device"}},
		{name: "a group, while one client is not ready", src: "10.8.0.2", dst: "224.0.0.9", want: []string{"1", "device"}, change: func(p *plane, clients []*instance) {
			between(p, clients)
			clients[2].tunnel.Store(nil)
		}},
		{name: "a group, by the system", src: "10.8.0.2", dst: "224.0.0.9", want: []string{"device"}},
		{name: "another's address", change: between, src: "10.8.0.3", dst: "10.8.0.4", bad: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrowd(t, tt.change)
			payload := packet4(tt.src, tt.dst)
			pkt, err := c.ends[0].SealControl(nil, payload, c.now)
			if err != nil {
				t.Fatal(err)
			}
			in := &inbound{plane: c.plane, link: c.link}
			in.relay.plane = c.plane
			pkt = append(make([]byte, transport.Headroom), pkt...)[transport.Headroom:]
			in.batch(&transport.Batch{Peer: *c.clients[0].peer.Load(), Packets: [][]byte{pkt}})
			if who := c.got(t, payload); !slices.Equal(who, tt.want) || c.clients[0].counts.badSource.Load() != tt.bad {
				t.Errorf("it goes to %q with %d of a bad source, want %q and %d", who, c.clients[0].counts.badSource.Load(), tt.want, tt.bad)
			}
		})
	}
}

// Where a packet of the device goes.
func TestWhereThePacketsOfTheDeviceGo(t *testing.T) {
	for dst, want := range map[string][]string{
		"10.8.0.3":  {"1"},
		"224.0.0.9": {"0", "1", "2"},
		"192.0.2.9": nil,
	} {
		t.Run(dst, func(t *testing.T) {
			c := newCrowd(t, nil)
			o := newOutbound(c.plane, 1)
			payload := packet4("10.8.0.1", dst)
			b := <-o.free
			b.n, b.sizes[0] = 1, len(payload)
			copy(b.bufs[0][tun.Offset:], payload)
			o.deal(b)
			if who := c.got(t, payload); !slices.Equal(who, want) {
				t.Errorf("it goes to %q, want %q", who, want)
			}
		})
	}
}

// A client's question in the data channel is answered, so often as is reasonable; its farewell there ends it.
func TestInBandMessagesOfAClient(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory)
		c, _ := r.enter("")
		block, err := c.session.KeyBlock(0, true)
		if err != nil {
			t.Fatal(err)
		}
		terms := session.Terms{Cipher: "AES-256-GCM", EKM: true, V2: true}
		p := terms.Params(keys.Client)
		p.ReplayWindow = 64
		ch, err := data.New(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.SetKey(0, block, time.Now()); err != nil {
			t.Fatal(err)
		}
		ask := func(typ data.OCCType) {
			t.Helper()
			pkt, err := ch.SealControl(nil, data.AppendOCC(nil, typ, nil), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			c.write(pkt)
		}
		answers := func() (list []string) {
			for {
				pkt, err := c.read(50 * time.Millisecond)
				if err != nil {
					return list
				}
				if msg, kind, err := ch.Open(pkt, time.Now()); err == nil && kind == data.OCC && data.OCCType(msg[0]) == data.OCCReply {
					list = append(list, string(msg[1:]))
				}
			}
		}
		ask(data.OCCRequest)
		if got := answers(); len(got) != 1 || !strings.HasPrefix(got[0], "V4,dev-type null") && !strings.HasPrefix(got[0], "V4,dev-type tun") {
			t.Errorf("answered %q", got)
		}
		for range 3 * peerQuestions {
			ask(data.OCCRequest)
		}
		if got := answers(); len(got) == 0 || len(got) > peerQuestions {
			t.Errorf("%d answers to %d questions at once, want at most %d", len(got), 3*peerQuestions, peerQuestions)
		}
		ask(data.OCCExit)
		r.await("the client is gone", func() bool { return r.server.Clients() == 0 })
		if !strings.Contains(r.log.String(), "SIGTERM[soft,remote-exit] received, client-instance exiting") {
			t.Error("no line about the farewell")
		}
	})
}
