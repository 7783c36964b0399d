package data

import "encoding/binary"

// Numbers of the protocols mssfix looks into.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86DD
	etherVLAN = 0x8100
	protoTCP  = 6
	optEnd    = 0
	optNop    = 1
	optMSS    = 2
	flagSYN   = 0x02
)

// clampMSS lowers the MSS option of a TCP SYN to limit (20 less inside IPv6) and corrects the checksum. Anything else
// is left alone, and an MSS is never raised. With tap, b is an Ethernet frame, with or without one VLAN tag.
func clampMSS(b []byte, limit int, tap bool) {
	if tap {
		if len(b) < 14 {
			return
		}
		kind := binary.BigEndian.Uint16(b[12:])
		b = b[14:]
		if kind == etherVLAN && len(b) >= 4 {
			kind = binary.BigEndian.Uint16(b[2:])
			b = b[4:]
		}
		if kind != etherIPv4 && kind != etherIPv6 {
			return
		}
	}
	if len(b) < 40 { // an IPv4 header and a TCP header at least
		return
	}
	switch b[0] >> 4 {
	case 4:
		n := int(b[0]&15) * 4
		if b[9] != protoTCP || n < 20 || binary.BigEndian.Uint16(b[6:])&0x1FFF != 0 {
			return
		}
		if n < len(b) {
			clampTCP(b[n:], limit)
		}
	case 6:
		if b[6] == protoTCP {
			clampTCP(b[40:], limit-20)
		}
	}
}

// clampTCP does it for a TCP segment.
func clampTCP(t []byte, limit int) {
	if len(t) < 20 || t[13]&flagSYN == 0 || limit <= 0 {
		return
	}
	n := int(t[12]>>4) * 4
	if n < 20 || n > len(t) {
		return
	}
	for i := 20; i < n; {
		switch t[i] {
		case optEnd:
			return
		case optNop:
			i++
			continue
		}
		if i+1 >= n || t[i+1] < 2 || i+int(t[i+1]) > n {
			return
		}
		if t[i] == optMSS && t[i+1] == 4 {
			if old := binary.BigEndian.Uint16(t[i+2:]); int(old) > limit {
				put16(t, i+2, uint16(limit))
			}
			return
		}
		i += int(t[i+1])
	}
}

// put16 stores v at offset at of a TCP segment and updates its checksum. An odd offset swaps the bytes' weights.
//
// Rule: RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
func put16(t []byte, at int, v uint16) {
	old := binary.BigEndian.Uint16(t[at:])
	binary.BigEndian.PutUint16(t[at:], v)
	if at&1 != 0 {
		old, v = old<<8|old>>8, v<<8|v>>8
	}
	sum := uint32(^binary.BigEndian.Uint16(t[16:])) + uint32(^old) + uint32(v)
	sum = sum&0xFFFF + sum>>16
	sum = sum&0xFFFF + sum>>16
	binary.BigEndian.PutUint16(t[16:], ^uint16(sum))
}
