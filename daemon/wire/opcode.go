package wire

import (
	"errors"
	"strconv"
)

// Errors of the parsers. They are compared with errors.Is and carry no packet bytes.
var (
	ErrShort     = errors.New("packet too short")
	ErrOpcode    = errors.New("unknown or obsolete opcode")
	ErrChannel   = errors.New("packet of the other channel")
	ErrNoSession = errors.New("session id of zeros")
	ErrAcks      = errors.New("more than eight acks")
)

// Opcode is the kind of a packet, the upper five bits of its first byte.
type Opcode uint8

// The opcodes, with the names the reference gives them.
const (
	OpControlHardResetClientV1 Opcode = 1  // P_CONTROL_HARD_RESET_CLIENT_V1: key method 1, refused
	OpControlHardResetServerV1 Opcode = 2  // P_CONTROL_HARD_RESET_SERVER_V1: key method 1, refused
	OpControlSoftResetV1       Opcode = 3  // P_CONTROL_SOFT_RESET_V1: start of a renegotiation
	OpControlV1                Opcode = 4  // P_CONTROL_V1: a slice of the TLS stream
	OpAckV1                    Opcode = 5  // P_ACK_V1: acks only, no message id
	OpDataV1                   Opcode = 6  // P_DATA_V1: data, one-byte header
	OpControlHardResetClientV2 Opcode = 7  // P_CONTROL_HARD_RESET_CLIENT_V2: first packet of a client
	OpControlHardResetServerV2 Opcode = 8  // P_CONTROL_HARD_RESET_SERVER_V2: first packet of a server
	OpDataV2                   Opcode = 9  // P_DATA_V2: data with peer-id
	OpControlHardResetClientV3 Opcode = 10 // P_CONTROL_HARD_RESET_CLIENT_V3: as V2, wrapped client key behind it
	OpControlWKCV1             Opcode = 11 // P_CONTROL_WKC_V1: as P_CONTROL_V1, wrapped client key behind it
)

var opcodeNames = [...]string{
	OpControlHardResetClientV1: "P_CONTROL_HARD_RESET_CLIENT_V1",
	OpControlHardResetServerV1: "P_CONTROL_HARD_RESET_SERVER_V1",
	OpControlSoftResetV1:       "P_CONTROL_SOFT_RESET_V1",
	OpControlV1:                "P_CONTROL_V1",
	OpAckV1:                    "P_ACK_V1",
	OpDataV1:                   "P_DATA_V1",
	OpControlHardResetClientV2: "P_CONTROL_HARD_RESET_CLIENT_V2",
	OpControlHardResetServerV2: "P_CONTROL_HARD_RESET_SERVER_V2",
	OpDataV2:                   "P_DATA_V2",
	OpControlHardResetClientV3: "P_CONTROL_HARD_RESET_CLIENT_V3",
	OpControlWKCV1:             "P_CONTROL_WKC_V1",
}

// String is the reference's name, "P_CONTROL_V1", or "P_???(31)" for a number without one.
func (op Opcode) String() string {
	if int(op) < len(opcodeNames) && opcodeNames[op] != "" {
		return opcodeNames[op]
	}
	return "P_???(" + strconv.Itoa(int(op)) + ")"
}

// IsControl reports whether packets of this kind have a session id and an ack block. Key method 1 resets are
// obsolete and belong to no side.
func (op Opcode) IsControl() bool {
	switch op {
	case OpControlSoftResetV1, OpControlV1, OpAckV1, OpControlHardResetClientV2, OpControlHardResetServerV2,
		OpControlHardResetClientV3, OpControlWKCV1:
		return true
	default:
		return false
	}
}

// IsData reports whether packets of this kind belong to the data channel.
func (op Opcode) IsData() bool { return op == OpDataV1 || op == OpDataV2 }

// IsHardReset reports whether op opens a session (V2 and V3 of the client, V2 of the server).
func (op Opcode) IsHardReset() bool {
	return op == OpControlHardResetClientV2 || op == OpControlHardResetClientV3 || op == OpControlHardResetServerV2
}

// HasWKc reports whether a wrapped client key (tls-crypt-v2) follows packets of this kind.
func (op Opcode) HasWKc() bool { return op == OpControlHardResetClientV3 || op == OpControlWKCV1 }

// MaxKeyID is the largest key id; 0 belongs to the first key of a session only.
const MaxKeyID = 7

// NextKeyID is the id of the key that follows one with id k: 1..7 in a circle, never back to 0.
func NextKeyID(k uint8) uint8 { return k%MaxKeyID + 1 }

// Header is the first byte of a packet; only the lower three bits of keyID count.
func Header(op Opcode, keyID uint8) byte { return byte(op)<<3 | keyID&7 }

// ParseHeader splits the first byte of a control or data packet.
//
//	bits 7..3  opcode
//	bits 2..0  key id
//
// b holds one datagram, or one stream frame without its length prefix, and is not kept. It returns ErrShort for an
// empty b, and ErrOpcode outside 1..11; the obsolete opcodes 1 and 2 pass and are neither IsControl nor IsData.
//
// Rule: docs/protocol.md#12-first-byte.
func ParseHeader(b []byte) (Opcode, uint8, error) {
	if len(b) == 0 {
		return 0, 0, ErrShort
	}
	op := Opcode(b[0] >> 3)
	if op == 0 || op > OpControlWKCV1 {
		return 0, 0, ErrOpcode
	}
	return op, b[0] & 7, nil
}
