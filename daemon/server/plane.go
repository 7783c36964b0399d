package server

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// station is where a MAC address was seen last.
type station = forward.Station[*dataPath]

// plane holds what the goroutines of the data plane share. It does not change while they run.
type plane struct {
	dev            tun.Device
	tap            bool
	clientToClient bool
	passTOS        bool   // packets to clients take the type of service of what they carry
	vlans          *vlans // nil without vlan-tagging
	maxPacket      int    // of the device, bytes
	table          *table
	routes         *forward.Table[*dataPath]
	stations       *forward.Stations[*dataPath]
	total          *engine.Totals
	relaying       *relaying // nil without a relay
	*aside
}

// receive hands the batches of a link over until the link is closed on our side, which is nil, or breaks.
func (p *plane) receive(link transport.Link, batch func(*transport.Batch)) error {
	b := transport.NewBatch()
	for {
		if err := link.Recv(b); err != nil {
			switch {
			case transport.Transient(err):
				p.notice(err)
				continue
			case errors.Is(err, net.ErrClosed):
				return nil
			}
			return err
		}
		batch(b)
	}
}

// notice logs a passing error of a link or of the device.
func (p *plane) notice(err error) { p.limitedLog(netip.Addr{}, "", logging.Error, "%v", err) }

// bad logs a data packet that did not open. Anyone can write a client's peer-id on packets.
func (p *plane) bad(i *dataPath, from transport.Peer, err error) {
	cipher := ""
	if ch := i.tunnel.Load(); ch != nil {
		cipher = ch.Params().Cipher
	}
	p.limitedLog(from.Addr.Addr(), i.addressText(), logging.Info, "%s", data.OpenErrorText(err, cipher))
}

// badSource logs a packet from an address that is not the client's.
func (p *plane) badSource(i *dataPath, src netip.Addr) {
	p.limitedLog(i.source(), i.addressText(), logging.Detail, "MULTI: bad source address from client [%s], packet dropped", src)
}

// quota logs that a client has too many stations.
func (p *plane) quota(i *dataPath) {
	p.limitedLog(i.source(), i.addressText(), logging.Steps, "MULTI ROUTE: route quota (%d) exceeded for %s/%s (see --max-routes-per-client option)", i.maxStations, i.name, i.addressText())
}

// floated asks the hub to move a client that sent an authentic packet from another address.
func (p *plane) floated(i *dataPath, to transport.Peer) {
	if !i.asks.Allow(time.Now()) {
		return // the next packet asks again
	}
	p.tell(func(h *hub) { h.float(h.of(i), to) })
}

// learned tells the hub of a new station.
func (p *plane) learned(i *dataPath, at forward.EtherAddr, known bool) {
	p.tell(func(h *hub) { h.learnedStation(h.set, h.of(i), at, known) })
}

// exit is a client's farewell in the data channel.
func (p *plane) exit(i *dataPath) {
	p.tell(func(h *hub) {
		if c := h.of(i); c.stage != session.Gone {
			h.finish(c, "remote-exit")
		}
	})
}

// occ hands the hub a question in the data channel, or the answer to one of ours.
func (p *plane) occ(i *dataPath, msg []byte) {
	if !i.asks.Allow(time.Now()) {
		return // the peer asks again
	}
	question := append([]byte(nil), msg...)
	p.tell(func(h *hub) { h.inBand(h.of(i), question, time.Now()) })
}
