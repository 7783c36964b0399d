//go:build !race

package client

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// loopback is a link that keeps what is sent in a batch, ready to be received.
type loopback struct {
	transport.Link
	slab  []byte
	batch transport.Batch
}

func (l *loopback) Send(_ transport.Peer, pkts [][]byte) error {
	l.slab, l.batch.Packets = l.slab[:0], l.batch.Packets[:0]
	for _, p := range pkts {
		at := len(l.slab)
		l.slab = append(l.slab, p...)
		l.batch.Packets = append(l.batch.Packets, l.slab[at:len(l.slab):len(l.slab)])
	}
	return nil
}

// sink is a device that counts what is written.
type sink struct {
	tun.Device
	packets, bytes int
}

func (s *sink) Write(bufs [][]byte, offset int) (int, error) {
	s.packets += len(bufs)
	for _, b := range bufs {
		s.bytes += len(b) - offset
	}
	return len(bufs), nil
}

// TestPlaneAllocs: the whole way of a packet, device to link and link to device, costs no memory. The race detector
// empties pools at random, so it is not for this test.
func TestPlaneAllocs(t *testing.T) {
	now := time.Now()
	client, server := channels(t, now)
	link, device := &loopback{}, &sink{}
	var total atomic.Uint64
	var out, in atomic.Pointer[path]
	peer := transport.Peer{Addr: netip.MustParseAddrPort("10.99.0.1:1194")}
	out.Store(&path{link: link, peer: peer, channel: client, device: device, traffic: new(session.Traffic)})
	in.Store(&path{link: link, peer: peer, channel: server, device: device, traffic: new(session.Traffic)})
	fail := func(err error) { t.Error(err) }
	o := &outbound{device: device, path: &out, total: &total, failed: fail, notice: fail}
	i := &inbound{link: link, path: &in, notice: fail, bad: func(_ *data.Channel, err error) { fail(err) }, device: fail, traffic: new(session.Traffic), total: &total}

	const together, size, runs = 40, 1400, 50
	bufs, sizes := make([][]byte, together), make([]int, together)
	for n := range bufs {
		bufs[n], sizes[n] = make([]byte, tun.Offset+size), size
		bufs[n][tun.Offset] = 0x45
	}
	var sealed data.Batch
	var payloads [][]byte
	allocs := testing.AllocsPerRun(runs, func() {
		payloads = o.send(&sealed, payloads[:0], bufs, sizes)
		i.batch(&link.batch)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a batch of %d packets", allocs, together)
	}
	if want := (runs + 1) * together; device.packets != want || device.bytes != want*size {
		t.Errorf("%d packets of together %d bytes arrived, want %d of %d bytes", device.packets, device.bytes, want, size)
	}
}
