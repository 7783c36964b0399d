package wire

// NoPeerID is the peer-id that means "none".
const NoPeerID = 0xFFFFFF

// Header sizes of data packets, in bytes.
const (
	DataV1HeaderSize = 1
	DataV2HeaderSize = 4
)

// DataHeader stands in clear in front of a data packet's body.
//
//	P_DATA_V1  byte0
//	P_DATA_V2  byte0 | peer-id u24
type DataHeader struct {
	Op     Opcode // OpDataV1 or OpDataV2
	KeyID  uint8
	PeerID uint32 // 24 bits; NoPeerID in V1
}

// Size is the encoded size in bytes.
func (h DataHeader) Size() int {
	if h.Op == OpDataV2 {
		return DataV2HeaderSize
	}
	return DataV1HeaderSize
}

// Append encodes h behind dst.
func (h DataHeader) Append(dst []byte) []byte {
	dst = append(dst, Header(h.Op, h.KeyID))
	if h.Op == OpDataV2 {
		dst = append(dst, byte(h.PeerID>>16), byte(h.PeerID>>8), byte(h.PeerID))
	}
	return dst
}

// ParseDataHeader decodes the header of a data packet and returns the bytes it takes. It returns ErrShort for a
// truncated header, ErrChannel for a packet of the control channel and ErrOpcode for any other.
func ParseDataHeader(b []byte) (h DataHeader, n int, err error) {
	op, keyID, err := ParseHeader(b)
	if err != nil {
		return DataHeader{}, 0, err
	}
	switch op {
	case OpDataV1:
		return DataHeader{Op: op, KeyID: keyID, PeerID: NoPeerID}, DataV1HeaderSize, nil
	case OpDataV2:
		if len(b) < DataV2HeaderSize {
			return DataHeader{}, 0, ErrShort
		}
		id := uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		return DataHeader{Op: op, KeyID: keyID, PeerID: id}, DataV2HeaderSize, nil
	}
	if op.IsControl() {
		return DataHeader{}, 0, ErrChannel
	}
	return DataHeader{}, 0, ErrOpcode
}
