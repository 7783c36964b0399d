package server

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// inbound moves packets from one link to the device, to other clients, and control packets to the hub. It runs on a
// goroutine of its own until the link is closed or breaks.
type inbound struct {
	*plane
	link    transport.Link
	longest int // control packet that is taken, in bytes
	// unknown handles a control packet, or one of no known kind, from an address without an instance.
	unknown func(l transport.Link, from transport.Peer, pkt []byte, now time.Time)

	device [][]byte // for the device, with head room
	owners forward.Owners[*dataPath]
	relay  sender // for other clients
}

// controlPacket is a control packet on its way to the hub.
type controlPacket struct {
	link transport.Link
	from transport.Peer
	to   *dataPath
	b    []byte
}

// run returns nil when the link was closed on our side.
func (in *inbound) run() error {
	in.device = make([][]byte, 0, transport.MaxPackets)
	in.relay.plane = in.plane
	return in.receive(in.link, in.batch)
}

// batch handles the packets of one peer.
func (in *inbound) batch(b *transport.Batch) {
	now := time.Now()
	at := in.table.byPeer(b.Peer)
	if at != nil && at.link != in.link && !sameKind(at.link, in.link) {
		at = nil // of a connection that has ended, or will as soon as the hub hears of it
	}
	in.device = in.device[:0]
	in.owners.Refresh(in.routes)
	for _, pkt := range b.Packets {
		in.total.In.Add(uint64(len(pkt)))
		op, _, err := wire.ParseHeader(pkt)
		switch {
		case err == nil && op.IsControl():
			if len(pkt) <= in.longest { // a session keeps a window of them, from any sender
				in.control(at, b.Peer, pkt, now)
			}
		case err != nil || !op.IsData():
			if at == nil {
				in.unknown(in.link, b.Peer, pkt, now) // on a stream there is nothing to wait for
			}
		default:
			if i := in.find(op, pkt, at); i != nil {
				in.open(i, b.Peer, pkt, now)
			}
		}
	}
	in.flush(now)
}

// control passes a control packet on. The hub may be busy: the peer repeats what is dropped.
func (in *inbound) control(at *dataPath, from transport.Peer, pkt []byte, now time.Time) {
	if at == nil {
		in.unknown(in.link, from, pkt, now)
		return
	}
	in.toHub(controlPacket{link: in.link, from: from, to: at, b: slices.Clone(pkt)})
}

// find is the instance of a data packet: by the peer-id it carries, else by its address.
func (in *inbound) find(op wire.Opcode, pkt []byte, at *dataPath) *dataPath {
	if op != wire.OpDataV2 {
		return at
	}
	hdr, _, err := wire.ParseDataHeader(pkt)
	switch {
	case err != nil:
		return nil
	case hdr.PeerID == wire.NoPeerID:
		return at
	default:
		return in.table.bySlot(hdr.PeerID)
	}
}

// open opens one data packet in place and routes its payload.
func (in *inbound) open(i *dataPath, from transport.Peer, pkt []byte, now time.Time) {
	ch := i.tunnel.Load()
	if ch == nil || i.link != in.link && !sameKind(i.link, in.link) {
		return
	}
	size := len(pkt)
	i.open.Lock()
	payload, kind, err := ch.Open(pkt, now)
	i.open.Unlock()
	if err != nil {
		i.counts.failed.Add(1)
		in.bad(i, from, err)
		return
	}
	i.counts.LinkIn.Add(uint64(size))
	i.counts.Heard(now)
	if *i.peer.Load() != from {
		in.floated(i, from)
	}
	switch kind {
	case data.Packet:
		if len(payload) > 0 {
			i.counts.TunIn.Add(uint64(len(payload)))
			in.route(i, pkt, payload, now)
		}
	case data.OCC:
		in.occ(i, payload)
	case data.Exit:
		in.exit(i)
	}
}

// route sends a payload where it belongs: to the device, or under client-to-client to other clients.
func (in *inbound) route(i *dataPath, pkt, payload []byte, now time.Time) {
	if in.tap {
		in.routeFrame(i, pkt, payload, now)
		return
	}
	src, dst, ok := forward.Addresses(payload)
	if !ok {
		return
	}
	if in.owners.Of(in.routes, src) != i {
		i.counts.badSource.Add(1)
		if !src.IsLinkLocalUnicast() {
			in.badSource(i, src)
		}
		return
	}
	if !in.clientToClient {
		in.outward(pkt, payload, now)
		return
	}
	if forward.IsMulticast(dst) {
		in.toAll(i, payload, now)
		in.toDevice(pkt, payload)
		return
	}
	r := in.routes.Read()
	to, ok := r.Lookup(dst, second(now))
	r.Done()
	if ok {
		if to != i {
			in.relay.add(to, payload, now)
		}
		return
	}
	in.outward(pkt, payload, now)
}

// outward sends what is for no client back by the node that the client answers, or to the device.
func (in *inbound) outward(pkt, payload []byte, now time.Time) {
	if in.relaying != nil {
		if to := in.relaying.flows.back(payload, second(now)); to != nil {
			in.relay.add(to, payload, now)
			return
		}
	}
	in.toDevice(pkt, payload)
}

// toDevice queues a payload for the device.
func (in *inbound) toDevice(pkt, payload []byte) {
	in.device = append(in.device, tun.WithHeadroom(pkt, payload))
}

// flush writes what the batch brought.
func (in *inbound) flush(now time.Time) {
	in.relay.flush(now)
	if len(in.device) == 0 {
		return
	}
	if _, err := in.dev.Write(in.device, tun.Offset); err != nil && !errors.Is(err, os.ErrClosed) {
		in.notice(err)
	}
}

// sameKind reports whether a client of one link may send through the other: the sockets of a UDP server are one link
// to it, a TCP connection is its own.
func sameKind(a, b transport.Link) bool {
	return !a.RemoteAddr().IsValid() && !b.RemoteAddr().IsValid()
}
