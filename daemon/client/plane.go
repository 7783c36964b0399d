package client

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// path tells the data plane what it needs to know about the connection. It is immutable; the owner publishes a new one.
type path struct {
	link    transport.Link
	peer    transport.Peer
	channel *data.Channel
	device  tun.Device // nil until it is open
	traffic *session.Traffic
	blockV6 bool
	options string // ours, for in-band questions
	static  bool   // packets have no opcode: all are data
	filter  *filter
}

// controlQueue is how many control packets may wait for the owner. More are dropped; the peer sends them again.
const controlQueue = 128

// inbound moves packets from the link to the device and control packets to the owner, until the link is closed or
// breaks. It runs on a goroutine of its own.
type inbound struct {
	link     transport.Link
	path     *atomic.Pointer[path]
	control  chan<- controlPacket       // never closed
	broken   chan<- error               // gets once why the link ended
	notice   func(error)                // a transient error
	bad      func(*data.Channel, error) // a data packet that did not open
	device   func(error)                // a payload that the device did not take
	exit     func()                     // the peer leaves
	answer   func(msg []byte)           // what the peer answers in the data channel; nil: nothing is asked
	heard    func(transport.Peer)       // data that opened came from another address than data before
	last     transport.Peer             // where it came from
	traffic  *session.Traffic
	total    *atomic.Uint64
	received *replayProgress

	bufs [][]byte
}

// controlPacket is a control packet with the address it came from.
type controlPacket struct {
	from transport.Peer
	b    []byte
}

func (in *inbound) run() {
	b := transport.NewBatch()
	in.bufs = make([][]byte, 0, transport.MaxPackets)
	for {
		if err := in.link.Recv(b); err != nil {
			if transport.Transient(err) {
				in.notice(err)
				continue
			}
			if !errors.Is(err, net.ErrClosed) {
				in.broken <- err
			}
			return
		}
		in.batch(b)
	}
}

func (in *inbound) batch(b *transport.Batch) {
	now := time.Now()
	p := in.path.Load()
	bytes, opened := 0, 0
	in.bufs = in.bufs[:0]
	for _, pkt := range b.Packets {
		bytes += len(pkt)
		if p != nil && p.static {
			opened += in.open(p, pkt, now)
			continue
		}
		op, _, err := wire.ParseHeader(pkt)
		switch {
		case err != nil:
		case op.IsControl():
			select {
			case in.control <- controlPacket{b.Peer, slices.Clone(pkt)}:
			default:
			}
		case p != nil && p.channel != nil:
			opened += in.open(p, pkt, now)
		}
	}
	in.traffic.LinkIn.Add(uint64(bytes))
	in.total.Add(uint64(bytes))
	if opened > 0 {
		if p.static {
			in.received.answer(p.channel)
		}
		in.traffic.Opened.Add(uint64(opened))
		in.traffic.Heard(now)
		if b.Peer != in.last {
			in.last = b.Peer
			in.heard(b.Peer)
		}
	}
	if len(in.bufs) > 0 {
		in.write(p)
	}
}

// open opens one data packet and queues its payload for the device. It returns the payload's bytes, 0 for a bad packet.
func (in *inbound) open(p *path, pkt []byte, now time.Time) int {
	payload, kind, err := p.channel.Open(pkt, now)
	if err != nil {
		in.bad(p.channel, err)
		return 0
	}
	switch kind {
	case data.Exit:
		in.exit()
	case data.OCC:
		in.occ(p, payload, now)
	case data.Packet:
		if p.device != nil && len(payload) > 0 {
			if p.filter != nil {
				p.filter.inbound(payload)
			}
			in.bufs = append(in.bufs, tun.WithHeadroom(pkt, payload))
		}
	}
	return max(len(payload), 1)
}

// occ answers an in-band question about options and sizes, or hands the owner an answer.
func (in *inbound) occ(p *path, msg []byte, now time.Time) {
	if _, _, ok := data.MTUReply(msg); ok && in.answer != nil {
		in.answer(slices.Clone(msg))
		return
	}
	if pkts := p.channel.SealAnswer(msg, p.options, now); len(pkts) > 0 {
		_ = p.link.Send(p.peer, pkts) // unimportant: the peer asks again
	}
}

func (in *inbound) write(p *path) {
	n := 0
	for _, b := range in.bufs {
		n += len(b) - tun.Offset
	}
	if _, err := p.device.Write(in.bufs, tun.Offset); err != nil && !errors.Is(err, os.ErrClosed) {
		in.device(err)
	}
	p.traffic.TunIn.Add(uint64(n))
}

// outbound moves packets from the device to the link of the moment, until the device is closed. It belongs to the
// device, not to an attempt: a device that is kept over restarts keeps its reader, and packets read while no connection
// is up are dropped.
type outbound struct {
	device tun.Device
	path   *atomic.Pointer[path]
	total  *atomic.Uint64
	// passTOS gives packets of the link the type of service of what they carry.
	passTOS bool
	failed  func(error) // the device broke
	notice  func(error) // a transient error of the link
}

func (o *outbound) run() {
	n := o.device.BatchSize()
	bufs, sizes := make([][]byte, n), make([]int, n)
	for i := range bufs {
		bufs[i] = make([]byte, tun.Offset+maxTunPacket)
	}
	var sealed data.Batch
	payloads := make([][]byte, 0, n)
	for {
		k, err := o.device.Read(bufs, sizes, tun.Offset)
		if k > 0 {
			payloads = o.send(&sealed, payloads[:0], bufs[:k], sizes[:k])
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
				o.failed(err)
			}
			return
		}
	}
}

// maxTunPacket is the largest packet read from a device, in bytes.
const maxTunPacket = 65535

// send seals the packets into one slab and passes them to the link. It returns payloads for reuse.
func (o *outbound) send(sealed *data.Batch, payloads, bufs [][]byte, sizes []int) [][]byte {
	p := o.path.Load()
	if p == nil || p.channel == nil || !p.peer.Addr.IsValid() {
		return payloads
	}
	now := time.Now()
	read := 0
	for i, b := range bufs {
		payload := b[tun.Offset : tun.Offset+sizes[i]]
		read += len(payload)
		if p.blockV6 && len(payload) > 0 && payload[0]>>4 == 6 {
			o.unreachable(p, payload)
			continue
		}
		if p.filter != nil && !p.filter.outbound(payload) {
			continue
		}
		payloads = append(payloads, payload)
	}
	p.traffic.TunOut.Add(uint64(read))
	if p.filter != nil && p.filter.rate > 0 {
		o.shape(p, sealed, payloads)
		return payloads
	}
	if !o.passTOS {
		o.transmit(p, p.peer, sealed, payloads, now)
		return payloads
	}
	for rest := payloads; len(rest) > 0; {
		peer := p.peer
		var n int
		n, peer.TOS = transport.TOSRun(rest)
		o.transmit(p, peer, sealed, rest[:n], now)
		rest = rest[n:]
	}
	return payloads
}

// shape sends packets one by one, as fast as shaper allows.
func (o *outbound) shape(p *path, sealed *data.Batch, payloads [][]byte) {
	for i := range payloads {
		peer := p.peer
		if o.passTOS {
			_, peer.TOS = transport.TOSRun(payloads[i : i+1])
		}
		if !p.filter.wait(len(payloads[i])+p.channel.Overhead(), p, o.path) {
			return
		}
		o.transmit(p, peer, sealed, payloads[i:i+1], time.Now())
	}
}

// transmit seals payloads and passes them to the link.
func (o *outbound) transmit(p *path, peer transport.Peer, sealed *data.Batch, payloads [][]byte, now time.Time) {
	if err := p.channel.SealBatch(sealed, payloads, now); err != nil || len(sealed.Packets) == 0 {
		return
	}
	if err := p.link.Send(peer, sealed.Packets); err != nil && !errors.Is(err, net.ErrClosed) {
		o.notice(err)
	}
	p.traffic.LinkOut.Add(uint64(sealed.Bytes()))
	o.total.Add(uint64(sealed.Bytes()))
	p.traffic.Sent(now)
}

// unreachable answers an IPv6 packet with "no route to destination" (block-ipv6).
func (o *outbound) unreachable(p *path, packet []byte) {
	if reply := noRoute6(packet); reply != nil {
		buf := make([]byte, tun.Offset+len(reply))
		copy(buf[tun.Offset:], reply)
		_, _ = p.device.Write([][]byte{buf}, tun.Offset)
	}
}
