package forward

import "net/netip"

// Addresses returns the source and destination of an IP packet, or ok false for anything else.
func Addresses(packet []byte) (src, dst netip.Addr, ok bool) {
	if len(packet) == 0 {
		return src, dst, false
	}
	switch packet[0] >> 4 {
	case 4:
		if len(packet) < 20 {
			return src, dst, false
		}
		return netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20])), true
	case 6:
		if len(packet) < 40 {
			return src, dst, false
		}
		return netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40])), true
	}
	return src, dst, false
}

// IsMulticast reports whether a destination is meant for all clients: multicast, or the IPv4 broadcast address.
func IsMulticast(dst netip.Addr) bool {
	return dst.IsMulticast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
