package server

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// kept is a link that keeps what it is given.
type kept struct {
	transport.Link
	mu      sync.Mutex
	packets [][]byte
}

func (l *kept) Send(_ transport.Peer, pkts [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range pkts {
		l.packets = append(l.packets, slices.Clone(p))
	}
	return nil
}

// sink is a device that counts what is written.
type sink struct {
	tun.Device
	packets int
}

func (s *sink) BatchSize() int { return tun.MaxBatch }

func (s *sink) Write(bufs [][]byte, _ int) (int, error) {
	s.packets += len(bufs)
	return len(bufs), nil
}

// Batches of all sizes, some sealed by the reader of the device and some by the workers, reach each client in order.
func TestOutboundOrder(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	now := time.Now()
	block, err := keys.NewBlock(bytes.Repeat([]byte("moongate"), 32))
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{
		dev: &sink{}, maxPacket: 1500, table: newTable(4), routes: new(forward.Table[*dataPath]), total: &engine.Totals{},
	}
	type far struct {
		addr    netip.Addr
		link    *kept
		channel *data.Channel
		sent    uint32
	}
	clients := make([]far, 3)
	for i := range clients {
		c := &clients[i]
		c.addr, c.link = netip.AddrFrom4([4]byte{10, 8, 0, byte(2 + i)}), &kept{}
		ends := [2]*data.Channel{}
		for n, role := range []keys.Role{keys.Server, keys.Client} {
			if ends[n], err = data.New(data.Params{Role: role, Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64}); err != nil {
				t.Fatal(err)
			}
			if err := ends[n].SetKey(0, block, now); err != nil {
				t.Fatal(err)
			}
		}
		in := &instance{dataPath: dataPath{link: c.link}}
		in.peer.Store(&transport.Peer{Addr: netip.AddrPortFrom(c.addr, 1194)})
		in.tunnel.Store(ends[0])
		c.channel = ends[1]
		if !p.table.add(in) {
			t.Fatal("no slot")
		}
		p.routes.Add(netip.PrefixFrom(c.addr, 32), &in.dataPath, second(now))
	}
	o := newOutbound(p, 2)
	var wg sync.WaitGroup
	for w := range o.workers {
		wg.Go(func() { o.seal(w) })
	}
	for range 300 {
		tr := <-o.free
		tr.n = 1 + rng.IntN(2*handOff)
		for i := range tr.n {
			c := &clients[rng.IntN(len(clients))]
			b := tr.bufs[i][tun.Offset:]
			clear(b[:24])
			b[0] = 0x45
			copy(b[16:], c.addr.AsSlice())
			binary.BigEndian.PutUint32(b[20:], c.sent)
			c.sent++
			tr.sizes[i] = 24 + rng.IntN(1000)
		}
		o.deal(tr)
	}
	for w := range o.workers {
		close(o.workers[w].queue)
	}
	wg.Wait()
	for _, c := range clients {
		for i, pkt := range c.link.packets {
			payload, _, err := c.channel.Open(pkt, now)
			if err != nil {
				t.Fatalf("%v: packet %d: %v", c.addr, i, err)
			}
			if got := binary.BigEndian.Uint32(payload[20:]); got != uint32(i) {
				t.Fatalf("%v: packet %d comes as number %d", c.addr, got, i)
			}
		}
		if got := len(c.link.packets); got != int(c.sent) {
			t.Errorf("%v: %d packets, want %d", c.addr, got, c.sent)
		}
	}
}
