package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// float moves a client to the address an authentic data packet of it came from.
//
// Rule: docs/protocol.md#63-float. Another client at that address stays, and so does one that has not proved itself: any client could
// write that address on its packets. An older session of the same client is replaced.
func (h *hub) float(i *instance, to transport.Peer) {
	from := *i.peer.Load()
	if i.phase != established || from == to || from.Listener != to.Listener || i.link.RemoteAddr().IsValid() {
		return
	}
	if other := h.table.byPeer(to); other != nil && other != i {
		if other.phase == handshake || !sameClient(other, i) || other.username != i.username {
			h.logNoise(i, time.Now(), logging.Info, "Disallow float to an address taken by another client %s", h.set.fullAddress(to))
			return
		}
		other.ending = endReplaced
		h.remove(other)
	}
	h.logNoise(i, time.Now(), logging.Detail, "peer %d (%s) floated from %s to %s", i.slot, i.commonName, realAddress(from.Addr), h.set.fullAddress(to))
	h.table.move(i, to)
}
