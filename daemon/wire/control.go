package wire

import (
	"encoding/binary"
	"encoding/hex"
)

// Sizes of the control packet parts, in bytes.
const (
	SessionIDSize     = 8
	ControlHeaderSize = 1 + SessionIDSize // byte0 | session id, in clear under every wrapping
	MessageIDSize     = 4
	MaxAcks           = 8    // a packet with more is refused
	MaxControlPacket  = 2048 // the largest control packet a peer may be configured to send
)

// SessionID names one side's end of a session. It is random, in clear on the wire, and stays the same over
// renegotiations. The zero value is malformed on the wire.
type SessionID [SessionIDSize]byte

// IsZero reports whether s is the id no packet may carry.
func (s SessionID) IsZero() bool { return s == SessionID{} }

// String is s in hexadecimal.
func (s SessionID) String() string { return hex.EncodeToString(s[:]) }

// ControlBody follows byte0, the session id and the wrapping of a control packet.
//
//	n u8 | n × acked id u32 | peer session id 8 (only if n > 0) | message id u32 | payload …
//
// P_ACK_V1 ends before the message id. The value can be reused: Parse keeps the storage of Acks.
type ControlBody struct {
	Acks        []uint32  // acknowledged message ids, in packet order
	PeerSession SessionID // the receiver's own id, present if there are acks
	MsgID       uint32    // counts reliable messages per key id and direction, from 0
	Payload     []byte    // a slice of the TLS stream, or early negotiation TLVs in a server reset
}

// AckBlockSize is the encoded size of a block with n acks.
func AckBlockSize(n int) int {
	if n == 0 {
		return 1
	}
	return 1 + 4*n + SessionIDSize
}

// Append encodes c behind dst. It panics above MaxAcks acks, which only our own code can ask for.
func (c *ControlBody) Append(dst []byte, op Opcode) []byte {
	if len(c.Acks) > MaxAcks {
		panic("wire: more than eight acks to append")
	}
	dst = append(dst, byte(len(c.Acks)))
	for _, id := range c.Acks {
		dst = binary.BigEndian.AppendUint32(dst, id)
	}
	if len(c.Acks) > 0 {
		dst = append(dst, c.PeerSession[:]...)
	}
	if op == OpAckV1 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, c.MsgID)
	return append(dst, c.Payload...)
}

// Parse decodes b, the unwrapped body of a packet of kind op. Payload aliases b; Acks does not. It returns ErrAcks
// above eight acks and ErrShort if b ends early, and then c is unspecified. Bytes behind the ack block of a P_ACK_V1
// are ignored, as stock does.
//
// Rule: docs/protocol.md#21-plain-body.
func (c *ControlBody) Parse(b []byte, op Opcode) error {
	if len(b) < 1 {
		return ErrShort
	}
	n := int(b[0])
	if n > MaxAcks {
		return ErrAcks
	}
	if len(b) < AckBlockSize(n) {
		return ErrShort
	}
	b = b[1:]
	c.Acks = c.Acks[:0]
	for range n {
		c.Acks = append(c.Acks, binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	c.PeerSession = SessionID{}
	if n > 0 {
		copy(c.PeerSession[:], b)
		b = b[SessionIDSize:]
	}
	c.MsgID, c.Payload = 0, nil
	if op == OpAckV1 {
		return nil
	}
	if len(b) < MessageIDSize {
		return ErrShort
	}
	c.MsgID = binary.BigEndian.Uint32(b)
	c.Payload = b[MessageIDSize:]
	return nil
}

// AppendControlHeader appends byte0 | session id.
func AppendControlHeader(dst []byte, op Opcode, keyID uint8, sid SessionID) []byte {
	dst = append(dst, Header(op, keyID))
	return append(dst, sid[:]...)
}

// ParseControlHeader splits the clear start of a control packet; rest aliases b. It returns ErrOpcode for
// obsolete and unknown opcodes, ErrChannel for data packets, ErrShort for a short b and ErrNoSession for a session id of zeros.
func ParseControlHeader(b []byte) (op Opcode, keyID uint8, sid SessionID, rest []byte, err error) {
	op, keyID, err = ParseHeader(b)
	if err != nil {
		return 0, 0, SessionID{}, nil, err
	}
	switch {
	case op.IsData():
		return 0, 0, SessionID{}, nil, ErrChannel
	case !op.IsControl():
		return 0, 0, SessionID{}, nil, ErrOpcode
	}
	if len(b) < ControlHeaderSize {
		return 0, 0, SessionID{}, nil, ErrShort
	}
	copy(sid[:], b[1:])
	if sid.IsZero() {
		return 0, 0, SessionID{}, nil, ErrNoSession
	}
	return op, keyID, sid, b[ControlHeaderSize:], nil
}
