package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// BenchmarkInbound takes batches of 40 packets from a client to the device; sources is how many hosts behind the client
// send them in turn.
func BenchmarkInbound(b *testing.B) {
	for _, size := range []int{100, 1400} {
		for _, sources := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/sources=%d", size, sources), func(b *testing.B) { benchInbound(b, size, sources) })
		}
	}
}

func benchInbound(b *testing.B, size, sources int) {
	now := time.Now()
	channel := func(role keys.Role) *data.Channel {
		return newChannel(b, data.Params{Role: role, MSSLimit: 1400}, now)
	}
	from := transport.Peer{Addr: netip.MustParseAddrPort("10.99.0.2:1194")}
	device := &sink{}
	p := &plane{dev: device, maxPacket: 1500, table: newTable(4), routes: new(forward.Table[*dataPath]), total: &engine.Totals{}}
	client := &instance{}
	client.peer.Store(&from)
	client.tunnel.Store(channel(keys.Server))
	own := []netip.Prefix{netip.MustParsePrefix("10.8.0.2/32"), netip.MustParsePrefix("fd00:8::2/128"), netip.MustParsePrefix("192.168.0.0/16")}
	if !p.table.add(client) {
		b.Fatal("no slot")
	}
	for _, o := range own {
		p.routes.Add(o, &client.dataPath, second(now))
	}
	in := &inbound{plane: p}
	in.relay.plane = p
	peer := channel(keys.Client)
	payloads := make([][]byte, 40)
	for i := range payloads {
		payloads[i] = make([]byte, size)
		payloads[i][0] = 0x45
		src := own[0].Addr()
		if sources > 1 {
			src = netip.AddrFrom4([4]byte{192, 168, 1, byte(i % sources)})
		}
		copy(payloads[i][12:], src.AsSlice())
		copy(payloads[i][16:], []byte{10, 8, 0, 1})
	}
	var sealed data.Batch
	batch := transport.Batch{Peer: from}
	b.SetBytes(int64(len(payloads) * size))
	for b.Loop() {
		b.StopTimer()
		if err := peer.SealBatch(&sealed, payloads, now); err != nil {
			b.Fatal(err)
		}
		batch.Packets = batch.Packets[:0]
		for _, pkt := range sealed.Packets {
			batch.Packets = append(batch.Packets, pkt[:len(pkt):len(pkt)])
		}
		b.StartTimer()
		in.batch(&batch)
	}
	if want := b.N * len(payloads); device.packets < want {
		b.Errorf("%d of %d packets written", device.packets, want)
	}
}
