package server

import (
	"bytes"
	"testing"

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
