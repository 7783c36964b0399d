package client

import (
	"encoding/binary"
)

// noRoute6 composes the ICMPv6 answer "destination unreachable, no route" to an IPv6 packet, from its destination.
//
//	IPv6 header 40 | type 1, code 0, checksum | unused 4 | as much of the packet as fits 1280 bytes
//
// It returns nil for what must not be answered: short packets, ICMPv6 errors, multicast or unspecified sources.
func noRoute6(packet []byte) []byte {
	const header, limit, icmp6 = 40, 1280, 58
	if len(packet) < header || packet[0]>>4 != 6 {
		return nil
	}
	src, dst := packet[8:24], packet[24:40]
	if src[0] == 0xff || dst[0] == 0xff || allZero(src) {
		return nil
	}
	if packet[6] == icmp6 && (len(packet) < header+1 || packet[header] < 128) {
		return nil
	}
	body := packet[:min(len(packet), limit-header-8)]
	out := make([]byte, header+8+len(body))
	out[0] = 0x60
	binary.BigEndian.PutUint16(out[4:], uint16(8+len(body)))
	out[6], out[7] = icmp6, 255
	copy(out[8:24], dst)
	copy(out[24:40], src)
	out[40] = 1
	copy(out[48:], body)
	binary.BigEndian.PutUint16(out[42:], checksum6(out))
	return out
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// checksum6 is the ICMPv6 checksum of a packet whose checksum field is 0.
func checksum6(packet []byte) uint16 {
	sum := uint32(len(packet)-40) + 58
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(packet[8:40])
	add(packet[40:])
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
