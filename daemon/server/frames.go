package server

import (
	"encoding/binary"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// routeFrame is route for Ethernet frames: it learns where the sender is.
func (in *inbound) routeFrame(i *dataPath, pkt, frame []byte, now time.Time) {
	dst, src, ok := forward.Frame(frame)
	if !ok || src.IsGroup() {
		return
	}
	if in.vlans != nil && (vlanOf(frame) != 0 || hidesVLAN(frame)) {
		return // clients are access ports
	}
	if at := (forward.EtherAddr{MAC: src, VLAN: i.vlan}); !in.stations.Known(at, i, second(now)) && !in.learn(i, at, now) {
		return
	}
	if !in.clientToClient {
		in.frameToDevice(i, pkt, frame)
		return
	}
	if dst.IsGroup() {
		in.toAll(i, frame, now)
		in.frameToDevice(i, pkt, frame)
		return
	}
	if to, ok := in.stations.Lookup(forward.EtherAddr{MAC: dst, VLAN: i.vlan}, second(now)); ok {
		if to != i {
			in.relay.add(to, frame, now)
		}
		return
	}
	in.frameToDevice(i, pkt, frame)
}

// learn notes a station that is new behind a client, or comes from another one, and reports whether the client may have it. A station that
// another client took comes back at that one's expense: who writes the address of another's station on frames uses up its own share.
func (in *inbound) learn(i *dataPath, at forward.EtherAddr, now time.Time) bool {
	if !in.stations.Taken(at, i) && !i.learns.Allow(now) {
		if i.restless.CompareAndSwap(false, true) {
			in.limitedLog(i.source(), i.addressText(), logging.Warn, "MULTI: stations behind %s come and move faster than one a second: frames of further ones are dropped, which is not logged again", i.name)
		}
		return false
	}
	switch in.stations.Learn(at, i, i.maxStations, second(now)) {
	case forward.Full:
		in.quota(i)
		return false
	case forward.Added:
		in.learned(i, at, false)
	case forward.Moved:
		in.learned(i, at, true)
	}
	return true
}

// toAll copies a payload to every other client, frames to those of the same VLAN.
func (in *inbound) toAll(from *dataPath, payload []byte, now time.Time) {
	slots := in.table.all()
	for n := range slots {
		if to := slots[n].Load(); to != nil && to != from && to.tunnel.Load() != nil && to.vlan == from.vlan {
			in.relay.add(to, payload, now)
		}
	}
}

// frameToDevice queues a frame for the device, with the tag of the client's VLAN where the device wants one.
func (in *inbound) frameToDevice(i *dataPath, pkt, frame []byte) {
	switch v := in.vlans; {
	case v == nil || v.accept != "tagged" && i.vlan == v.pvid:
		in.toDevice(pkt, frame)
	case v.accept != "untagged":
		in.device = append(in.device, tagged(frame, i.vlan))
	}
}

// station is the client of frame i of a batch, or all of its VLAN. It takes the tag off.
func (o *outbound) station(t *batch, i int, now int64) (to *dataPath, all bool) {
	frame := t.packet(i)
	dst, _, ok := forward.Frame(frame)
	if !ok {
		return nil, false
	}
	t.vlan[i] = 0
	if o.vlans != nil {
		vlan, ok := o.vlans.admit(frame)
		if !ok {
			return nil, false
		}
		t.vlan[i] = vlan
		if vlanOf(frame) != 0 {
			copy(frame[vlanTagAt:], frame[vlanTagAt+vlanTagSize:])
			t.sizes[i] -= vlanTagSize
		}
	}
	if to, known := o.stations.Lookup(forward.EtherAddr{MAC: dst, VLAN: t.vlan[i]}, now); known && !dst.IsGroup() {
		return to, false
	}
	return nil, true
}

// vlans makes a switch of the server (vlan-tagging): the device is a port that may carry several VLANs, every client is
// an access port of one. Frames go between ports of the same VLAN only.
//
//	from the device   untagged  → VLAN of vlan-pvid, unless vlan-accept is tagged
//	                  tagged    → VLAN of the tag, unless vlan-accept is untagged
//	to the device     tagged with the client's VLAN; those of vlan-pvid untagged, unless vlan-accept is tagged; with
//	                  untagged no others
//	from a client     untagged only
//	to a client       untagged
//
// Frames with a tag of VLAN 0 carry a priority only and count as untagged.
type vlans struct {
	accept string // "tagged", "untagged" or "all"
	pvid   uint16 // of untagged frames of the device
}

// newVLANs is nil without vlan-tagging.
func newVLANs(o *config.Options) *vlans {
	if !o.VLANTagging {
		return nil
	}
	return &vlans{o.VLANAccept, uint16(o.VLANPVID)}
}

// admit is the VLAN of a frame from the device, false when the device's port does not take it.
func (v *vlans) admit(frame []byte) (uint16, bool) {
	if vlan := vlanOf(frame); vlan != 0 {
		return vlan, v.accept != "untagged"
	}
	return v.pvid, v.accept != "tagged"
}

// A VLAN tag follows the addresses: 0x8100 | priority 3 bits, drop flag, VLAN 12 bits.
//
// Rule: IEEE 802.1Q.
const (
	vlanTagAt   = 12
	vlanTagSize = 4
	vlanType    = 0x8100
)

// vlanOf is the VLAN of a frame's tag, 0 without one.
func vlanOf(frame []byte) uint16 {
	if len(frame) < vlanTagAt+vlanTagSize || binary.BigEndian.Uint16(frame[vlanTagAt:]) != vlanType {
		return 0
	}
	return binary.BigEndian.Uint16(frame[vlanTagAt+2:]) & 0xfff
}

// hidesVLAN reports whether the first tag of a frame carries a priority only, and there is another one behind it: who takes the first off
// finds the frame in the VLAN of the second.
func hidesVLAN(frame []byte) bool {
	if len(frame) < vlanTagAt+vlanTagSize+2 || binary.BigEndian.Uint16(frame[vlanTagAt:]) != vlanType {
		return false
	}
	switch binary.BigEndian.Uint16(frame[vlanTagAt+vlanTagSize:]) {
	case vlanType, 0x88a8, 0x9100: // of IEEE 802.1Q, of a provider's bridge, and what came before that
		return true
	}
	return false
}

// tagged returns a copy of a frame with a tag, and head room for the device. A priority stays.
func tagged(frame []byte, vlan uint16) []byte {
	if len(frame) >= vlanTagAt+vlanTagSize && binary.BigEndian.Uint16(frame[vlanTagAt:]) == vlanType {
		b := append(make([]byte, tun.Offset, tun.Offset+len(frame)), frame...)
		tci := binary.BigEndian.Uint16(frame[vlanTagAt+2:])
		binary.BigEndian.PutUint16(b[tun.Offset+vlanTagAt+2:], tci&^0xfff|vlan)
		return b
	}
	b := append(make([]byte, tun.Offset, tun.Offset+len(frame)+vlanTagSize), frame[:vlanTagAt]...)
	b = binary.BigEndian.AppendUint16(b, vlanType)
	b = binary.BigEndian.AppendUint16(b, vlan)
	return append(b, frame[vlanTagAt:]...)
}
