package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// float moves a client to the address an authentic data packet of it came from.
//
// Rule: docs/protocol.md#63-float. Whoever is at that address stays when it is another client, or nobody knows yet which: any client could
// write that address on its packets. The same one is replaced.
func (h *hub) float(i *instance, to transport.Peer) {
	from := *i.peer.Load()
	if i.phase != established || from == to || i.link.RemoteAddr().IsValid() {
		return
	}
	if other := h.table.byPeer(to); other != nil && other != i {
		if other.phase == handshake || !sameClient(other, i) || other.username != i.username {
			h.logNoise(i, time.Now(), 1, "", "Disallow float to an address taken by another client %s", h.set.fullAddress(to))
			return
		}
		h.remove(other)
	}
	h.logNoise(i, time.Now(), 4, "", "peer %d (%s) floated from %s to %s", i.slot, i.commonName, realAddress(from.Addr), h.set.fullAddress(to))
	h.table.move(i, to)
}

// answerOCC answers a question a client asked in the data channel.
func (h *hub) answerOCC(i *instance, msg []byte, now time.Time) {
	ch := i.tunnel.Load()
	if i.phase != established || ch == nil {
		return
	}
	answer := data.AnswerOCC(nil, msg, h.occ, int(ch.Counters.MaxOpened.Load()), int(ch.Counters.MaxSealed.Load()), ch.Overhead())
	if len(answer) == 0 {
		return
	}
	pkt, err := ch.SealControl(nil, answer, now)
	if err != nil {
		return
	}
	h.out[0] = pkt
	if err := i.link.Send(*i.peer.Load(), h.out[:]); err != nil {
		h.plane.notice(err)
	}
	i.sent(len(pkt), now)
}
