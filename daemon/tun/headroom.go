package tun

// WithHeadroom returns payload with Offset writable bytes in front of it. The header and tag of the packet it was
// opened in are room enough in all but odd cases (cipher none, decompressed packets), which are copied.
func WithHeadroom(pkt, payload []byte) []byte {
	if off := cap(pkt) - cap(payload); off >= Offset && off < len(pkt) && &pkt[off] == &payload[0] {
		return pkt[off-Offset : off+len(payload)]
	}
	b := make([]byte, Offset+len(payload))
	copy(b[Offset:], payload)
	return b
}
