//go:build !race

package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// taken is a link that tells how many packets are sent.
type taken struct {
	transport.Link
	packets chan int
}

func (l *taken) Send(_ transport.Peer, pkts [][]byte) error {
	l.packets <- len(pkts)
	return nil
}

// TestPlaneAllocs: the whole way of a packet costs no memory: from the device over a sealing worker to the link, and from
// the link to the device. The race detector empties pools at random, so it is not for this test.
func TestPlaneAllocs(t *testing.T) {
	now := time.Now()
	channel := func(role keys.Role) *data.Channel {
		return newChannel(t, data.Params{Role: role, MSSLimit: 1400}, now)
	}
	addr, from := netip.MustParseAddr("10.8.0.2"), transport.Peer{Addr: netip.MustParseAddrPort("10.99.0.2:1194")}
	link, device := &taken{packets: make(chan int, 1)}, &sink{}
	p := &plane{dev: device, maxPacket: 1500, table: newTable(4), routes: new(forward.Table[*dataPath]), total: &engine.Totals{}}
	client := &instance{dataPath: dataPath{link: link}}
	client.peer.Store(&from)
	client.tunnel.Store(channel(keys.Server))
	if !p.table.add(client) {
		t.Fatal("no slot")
	}
	p.routes.Add(netip.PrefixFrom(addr, 32), &client.dataPath, second(now))

	const together, size, runs = 40, 1400, 50
	packet := func(buf []byte, src, dst netip.Addr) {
		buf[0] = 0x45
		copy(buf[12:], src.AsSlice())
		copy(buf[16:], dst.AsSlice())
	}
	far := netip.MustParseAddr("10.8.0.1")

	t.Run("outbound", func(t *testing.T) {
		o := newOutbound(p, 2)
		done := make(chan struct{})
		for w := range o.workers {
			go func() {
				o.seal(w)
				done <- struct{}{}
			}()
		}
		sent := 0
		allocs := testing.AllocsPerRun(runs, func() {
			tr := <-o.free
			for i := range together {
				packet(tr.bufs[i][tun.Offset:], far, addr)
				tr.sizes[i] = size
			}
			tr.n = together
			o.deal(tr)
			sent += <-link.packets
		})
		for w := range o.workers {
			close(o.workers[w].queue)
			<-done
		}
		if allocs != 0 || sent != (runs+1)*together {
			t.Errorf("%v allocations for a batch of %d packets, %d of %d packets sent", allocs, together, sent, (runs+1)*together)
		}
	})
	t.Run("inbound", func(t *testing.T) {
		in := &inbound{plane: p, link: link}
		in.relay.plane = p
		peer := channel(keys.Client)
		payloads := make([][]byte, together)
		for i := range payloads {
			payloads[i] = make([]byte, size)
			packet(payloads[i], addr, far)
		}
		var sealed data.Batch
		batch := transport.Batch{Peer: from}
		allocs := testing.AllocsPerRun(runs, func() {
			if err := peer.SealBatch(&sealed, payloads, now); err != nil {
				t.Fatal(err)
			}
			batch.Packets = batch.Packets[:0]
			for _, pkt := range sealed.Packets {
				batch.Packets = append(batch.Packets, pkt[:len(pkt):len(pkt)]) // as a link gives them
			}
			in.batch(&batch)
		})
		if want := (runs + 1) * together; allocs != 0 || device.packets != want {
			t.Errorf("%v allocations for a batch of %d packets, %d of %d packets written", allocs, together, device.packets, want)
		}
	})
}
