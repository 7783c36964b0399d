package client

import (
	"encoding/binary"
	"testing"
)

// A packet from fd00::2 to 2001:db8::1 is answered from there with "no route to destination".
func TestNoRoute6(t *testing.T) {
	packet := make([]byte, 40+20)
	packet[0], packet[6], packet[7] = 0x60, 6, 64
	binary.BigEndian.PutUint16(packet[4:], 20)
	copy(packet[8:], []byte{0xfd, 0x00})
	packet[23] = 2
	copy(packet[24:], []byte{0x20, 0x01, 0x0d, 0xb8})
	packet[39] = 1

	got := noRoute6(packet)
	if len(got) != 40+8+len(packet) {
		t.Fatalf("%d bytes, want %d", len(got), 48+len(packet))
	}
	if got[6] != 58 || got[40] != 1 || got[41] != 0 {
		t.Errorf("next header %d, type %d, code %d", got[6], got[40], got[41])
	}
	if string(got[8:24]) != string(packet[24:40]) || string(got[24:40]) != string(packet[8:24]) {
		t.Error("addresses are not swapped")
	}
	if string(got[48:]) != string(packet) {
		t.Error("the packet is not in the answer")
	}
	if sum := checksum6(got); sum != 0 {
		t.Errorf("checksum over everything is %#x, want 0", sum)
	}
}

func TestNoRoute6IsSilent(t *testing.T) {
	icmpError := make([]byte, 48)
	icmpError[0], icmpError[6], icmpError[23], icmpError[40] = 0x60, 58, 2, 1
	multicast := make([]byte, 48)
	multicast[0], multicast[23], multicast[24] = 0x60, 2, 0xff
	for name, packet := range map[string][]byte{
		"short": {0x60}, "IPv4": append([]byte{0x45}, make([]byte, 60)...), "unspecified source": append([]byte{0x60}, make([]byte, 60)...),
		"ICMPv6 error": icmpError, "multicast": multicast,
	} {
		if got := noRoute6(packet); got != nil {
			t.Errorf("%s was answered with %x", name, got)
		}
	}
}
