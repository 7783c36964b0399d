package server

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// A Relay carries packets to and from the clients of other nodes. *relay.Relay is one. The server receives from its link.
type Relay interface {
	Reach
	Link() transport.Link
}

// relaying is the data plane's part of a relay. The path to another node is a dataPath, as that to a client is: the table of routes leads to it, and
// the goroutines that seal for clients seal for it. A packet crosses one node at the most:
//
//	from another node   only to clients of this one; or, if a client of that node sent it, to the device
//	to another node     never what a client of another node has sent
//
// What clients answer goes back by the node that the question came by: there it is expected, by a firewall for example.
type relaying struct {
	link  transport.Link
	byID  atomic.Pointer[map[uint32]*dataPath] // replaced by the hub
	flows flows
}

func newRelaying() *relaying {
	r := new(relaying)
	r.byID.Store(&map[uint32]*dataPath{})
	return r
}

// relayHost has the hub change what leads where.
type relayHost struct {
	*inbox
	*relaying
}

// NodeUp implements relay.Host.
func (r relayHost) NodeUp(n *relay.Node) { r.post(func(h *hub) { r.nodeUp(&h.routing, n) }) }

// NodeDown implements relay.Host.
func (r relayHost) NodeDown(n *relay.Node) { r.post(func(h *hub) { r.nodeDown(&h.routing, n) }) }

// Ways implements relay.Host.
func (r relayHost) Ways(list []relay.Way) {
	r.post(func(h *hub) {
		now := time.Now()
		for _, w := range list {
			h.leadFar(w, now)
		}
	})
}

func (r *relaying) nodeUp(to *routing, n *relay.Node) {
	d := &dataPath{slot: n.ID, link: r.link, node: n, name: n.Name}
	d.peer.Store(&n.Peer)
	d.tunnel.Store(n.Out)
	to.far.nodes[n] = d
	r.change(func(byID map[uint32]*dataPath) { byID[n.ID] = d })
}

func (r *relaying) nodeDown(to *routing, n *relay.Node) {
	d := to.far.nodes[n]
	delete(to.far.nodes, n)
	d.tunnel.Store(nil)
	r.change(func(byID map[uint32]*dataPath) { delete(byID, n.ID) })
	r.flows.forget(d)
}

func (r *relaying) change(f func(byID map[uint32]*dataPath)) {
	next := maps.Clone(*r.byID.Load())
	f(next)
	r.byID.Store(&next)
}

// mayGo reports whether a packet of the device may go to another node. The caller holds the table.
func (r *relaying) mayGo(routes forward.Reader[*dataPath], src netip.Addr, now int64) bool {
	from, _ := routes.Lookup(src, now)
	return from == nil || from.node == nil
}

// fromNodes receives what other nodes send. It runs on a goroutine of its own until the link is closed or breaks.
type fromNodes struct {
	*plane
	device [][]byte // for the device, with head room
	owners forward.Owners[*dataPath]
	local  sender
}

// run returns nil when the link was closed on our side.
func (in *fromNodes) run() error {
	in.device = make([][]byte, 0, transport.MaxPackets)
	in.local.plane = in.plane
	return in.receive(in.relaying.link, in.batch)
}

func (in *fromNodes) batch(b *transport.Batch) {
	now := time.Now()
	in.device = in.device[:0]
	in.owners.Refresh(in.routes)
	byID := *in.relaying.byID.Load()
	for _, pkt := range b.Packets {
		hdr, _, err := wire.ParseDataHeader(pkt)
		if err != nil {
			continue
		}
		from := byID[hdr.PeerID]
		if from == nil {
			continue
		}
		payload, kind, err := from.node.In.Open(pkt, now)
		if err != nil || kind != data.Packet || len(payload) == 0 {
			continue
		}
		in.route(from, pkt, payload, now)
	}
	in.local.flush(now)
	if len(in.device) == 0 {
		return
	}
	if _, err := in.dev.Write(in.device, tun.Offset); err != nil && !errors.Is(err, os.ErrClosed) {
		in.notice(err)
	}
}

// route sends a payload to the client that it is for. What a client of the other node sent to none goes to the device.
func (in *fromNodes) route(from *dataPath, pkt, payload []byte, now time.Time) {
	src, dst, ok := forward.Addresses(payload)
	if !ok || forward.IsMulticast(dst) {
		return
	}
	sender, to := in.owners.Of(in.routes, src), in.owners.Of(in.routes, dst)
	switch {
	case sender != nil && sender != from: // a client of ours, or of a third node
	case to == nil && sender == from:
		in.device = append(in.device, tun.WithHeadroom(pkt, payload))
	case to == nil || to.node != nil: // it has left, or moved on
	default:
		if sender == nil {
			in.relaying.flows.note(payload, from, second(now))
		}
		in.local.add(to, payload, now)
	}
}
