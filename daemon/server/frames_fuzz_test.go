package server

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// Any frame of a client reaches the device whole, with the tag of its own VLAN only, or not at all; and a client has no
// more stations than it may have.
func FuzzFramesOfClients(f *testing.F) {
	f.Add(frame(0x08, 0x00, 0x45, 0), uint16(7), uint8(0))
	f.Add(frame(0x81, 0x00, 0xa0, 0x00, 0x08, 0x00), uint16(4), uint8(1))
	f.Add(frame(0x81, 0x00, 0x00), uint16(1), uint8(2))
	f.Add(frame(), uint16(0), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, vlan uint16, accept uint8) {
		vlan = 1 + vlan%4094
		p := &plane{
			tap: true, vlans: &vlans{[]string{"all", "tagged", "untagged"}[accept%3], 4}, stations: new(forward.Stations[*dataPath]),
			total: new(engine.Totals), aside: &aside{base: new(base), inbox: newInbox(), limiter: newLimiter()},
		}
		if accept&4 != 0 {
			p.vlans, vlan = nil, 0
		}
		pkt := append(make([]byte, tun.Offset), in...)
		rx := &inbound{plane: p}
		rx.routeFrame(&dataPath{vlan: vlan, maxStations: 1}, pkt, pkt[tun.Offset:], time.Now())
		if n := len(p.stations.All()); n > 1 {
			t.Fatalf("%d stations", n)
		}
		for _, out := range rx.device {
			got := out[tun.Offset:]
			if len(in) < 14 || len(got) < len(in) || len(got) > len(in)+vlanTagSize || !bytes.Equal(got[:vlanTagAt], in[:vlanTagAt]) {
				t.Fatalf("%x became %x", in, got)
			}
			if v := vlanOf(got); p.vlans != nil && v != vlan && v != 0 {
				t.Fatalf("a frame of VLAN %d has the tag of %d", vlan, v)
			}
		}
	})
}

// Any frame of the device keeps its bytes but for the tag, and goes to its own VLAN only.
func FuzzFramesOfDevice(f *testing.F) {
	f.Add(frame(0x08, 0x00, 0x45, 0), uint8(0))
	f.Add(frame(0x81, 0x00, 0x00, 0x07, 0x08, 0x00), uint8(1))
	f.Add(frame(0x81, 0x00, 0x00, 0x07), uint8(2))
	f.Add(frame(0x81, 0x00), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, accept uint8) {
		in = in[:min(len(in), 2048)]
		v := &vlans{[]string{"all", "tagged", "untagged"}[accept%3], 4}
		o := &outbound{plane: &plane{tap: true, vlans: v, stations: new(forward.Stations[*dataPath])}}
		tr := &batch{bufs: [][]byte{append(make([]byte, tun.Offset), in...)}, sizes: []int{len(in)}, vlan: make([]uint16, 1), n: 1}
		to, all := o.station(tr, 0, 1)
		if to != nil {
			t.Fatal("a client without stations")
		}
		want, vlan, ok := slices.Clone(in), v.pvid, len(in) >= 14 && v.accept != "tagged"
		if tag := vlanOf(in); tag != 0 {
			want = append(want[:vlanTagAt], in[vlanTagAt+vlanTagSize:]...)
			vlan, ok = tag, v.accept != "untagged"
		}
		if all != ok {
			t.Fatalf("%x goes to its VLAN: %v, want %v", in, all, ok)
		}
		if ok && (!bytes.Equal(tr.packet(0), want) || tr.vlan[0] != vlan) {
			t.Fatalf("%x became %x of VLAN %d, want %d", in, tr.packet(0), tr.vlan[0], vlan)
		}
	})
}
