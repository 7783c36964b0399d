package reach

import (
	"encoding/binary"
	"net/netip"
)

// Announcement is the Ethernet frame that tells the hosts of a network that an address is at a hardware address: a gratuitous ARP reply (RFC
// 5227, 3), or an unsolicited neighbour advertisement with the override flag (RFC 4861, 7.2.6).
func Announcement(a netip.Addr, mac [6]byte) []byte {
	if a.Is4() {
		return gratuitousARP(a.As4(), mac)
	}
	return advertisement(a.As16(), mac)
}

func gratuitousARP(ip [4]byte, mac [6]byte) []byte {
	f := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac[:]...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2) // Ethernet, IPv4, reply
	f = append(append(f, mac[:]...), ip[:]...)
	return append(append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ip[:]...)
}

// allNodes is ff02::1.
var allNodes = [16]byte{0: 0xff, 1: 0x02, 15: 1}

func advertisement(ip [16]byte, mac [6]byte) []byte {
	icmp := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, ip[:]...) // override
	icmp = append(append(icmp, 2, 1), mac[:]...)                  // target link-layer address
	binary.BigEndian.PutUint16(icmp[2:], checksum6(ip, allNodes, icmp))
	f := append([]byte{0x33, 0x33, 0, 0, 0, 1}, mac[:]...)
	f = append(f, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(icmp)), 58, 255)
	f = append(append(f, ip[:]...), allNodes[:]...)
	return append(f, icmp...)
}

// checksum6 is that of ICMPv6 (RFC 4443, 2.3).
func checksum6(src, dst [16]byte, icmp []byte) uint16 {
	pseudo := append(append([]byte{}, src[:]...), dst[:]...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(icmp)))
	pseudo = append(append(pseudo, 0, 0, 0, 58), icmp...)
	var sum uint32
	for i := 0; i+1 < len(pseudo); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pseudo[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
