package server

import (
	"bytes"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// frame is an Ethernet frame with the given bytes behind the addresses.
func frame(rest ...byte) []byte {
	return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, rest...)
}

func TestVLANAdmission(t *testing.T) {
	plain := frame(0x08, 0x00, 0x45, 0)
	seven := frame(0x81, 0x00, 0x00, 0x07, 0x08, 0x00)
	priority := frame(0x81, 0x00, 0xa0, 0x00, 0x08, 0x00)
	for _, tt := range []struct {
		accept string
		frame  []byte
		vlan   uint16
		ok     bool
	}{
		{"all", plain, 4, true},
		{"all", seven, 7, true},
		{"all", priority, 4, true},
		{"tagged", plain, 4, false},
		{"tagged", seven, 7, true},
		{"tagged", priority, 4, false},
		{"untagged", plain, 4, true},
		{"untagged", seven, 7, false},
		{"untagged", priority, 4, true},
	} {
		v := &vlans{tt.accept, 4}
		if vlan, ok := v.admit(tt.frame); vlan != tt.vlan || ok != tt.ok {
			t.Errorf("%s, tag %x: VLAN %d %v, want %d %v", tt.accept, tt.frame[12:16], vlan, ok, tt.vlan, tt.ok)
		}
	}
}

// A client is in its own VLAN only, whatever tags it puts on frames.
func TestClientsAreAccessPorts(t *testing.T) {
	for _, tt := range []struct {
		name string
		rest []byte // behind the addresses
		ok   bool
	}{
		{"no tag", []byte{0x08, 0x00, 0x45, 0}, true},
		{"a priority", []byte{0x81, 0x00, 0xa0, 0x00, 0x08, 0x00}, true},
		{"another VLAN", []byte{0x81, 0x00, 0x00, 0x07, 0x08, 0x00}, false},
		{"another VLAN behind a priority", []byte{0x81, 0x00, 0xa0, 0x00, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00}, false},
		{"another VLAN behind two", []byte{0x81, 0x00, 0, 0, 0x81, 0x00, 0, 0, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00}, false},
		{"a provider's VLAN behind a priority", []byte{0x81, 0x00, 0, 0, 0x88, 0xa8, 0x00, 0x07, 0x08, 0x00}, false},
		{"half a tag", []byte{0x81, 0x00, 0x00}, true},
		{"a priority and nothing", []byte{0x81, 0x00, 0xa0, 0x00}, true},
	} {
		for _, accept := range []string{"all", "tagged", "untagged"} {
			p := &plane{
				tap: true, stations: new(forward.Stations[*dataPath]), vlans: &vlans{accept, 4},
				aside: &aside{base: &base{deps: Deps{Log: logging.Discard()}}, inbox: newInbox(), limiter: newLimiter()},
			}
			in, d := &inbound{plane: p}, &dataPath{maxStations: 4, vlan: 4, learns: ratelimit.New(4, 4*time.Second)}
			pkt := append(make([]byte, tun.Offset), frame(tt.rest...)...)
			in.routeFrame(d, pkt, pkt[tun.Offset:], time.Now())
			if got := len(in.device) > 0; got != tt.ok {
				t.Errorf("%s, accept %s: passed %v, want %v", tt.name, accept, got, tt.ok)
			}
		}
	}
}

func TestTagged(t *testing.T) {
	for _, tt := range []struct{ in, want []byte }{
		{frame(0x08, 0x00, 0x45), frame(0x81, 0x00, 0x00, 0x07, 0x08, 0x00, 0x45)},
		{frame(0x81, 0x00, 0xa0, 0x00, 0x08, 0x00), frame(0x81, 0x00, 0xa0, 0x07, 0x08, 0x00)},
	} {
		before := bytes.Clone(tt.in)
		if got := tagged(tt.in, 7); !bytes.Equal(got[tun.Offset:], tt.want) {
			t.Errorf("got %x, want %x", got[tun.Offset:], tt.want)
		}
		if !bytes.Equal(before, tt.in) {
			t.Error("the frame was changed")
		}
	}
}
