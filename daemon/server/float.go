package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// float moves a client to the address that an authentic data packet of it came from.
func (h *hub) float(i *instance, to transport.Peer) {
	from := *i.peer.Load()
	if from == to || from.Listener != to.Listener || i.link.RemoteAddr().IsValid() {
		return
	}
	other := h.at(to)
	var there *session.Party
	if other != nil && other != i {
		there = other.party()
	}
	switch i.party().Float(there) {
	case session.FloatIgnored:
		return
	case session.FloatRefused:
		h.logNoise(i, time.Now(), logging.Info, "Disallow float to an address taken by another client %s", h.set.fullAddress(to))
		return
	case session.FloatReplaces:
		h.remove(other)
	case session.FloatMoves:
	}
	h.logNoise(i, time.Now(), logging.Detail, "peer %d (%s) floated from %s to %s", i.slot, i.commonName, outer{i.proto, from.Addr}, h.set.fullAddress(to))
	h.table.move(i, to)
}
