package keys

import (
	"encoding/binary"
	"errors"
)

// ErrEarly is returned for malformed early negotiation records.
var ErrEarly = errors.New("keys: early negotiation malformed")

// Early negotiation records: type u16 | length u16 | value.
const (
	earlyTypeFlags  = 1
	earlyHeaderSize = 4
)

// EarlyFlags are the flags a server sends in its reset to a client that can negotiate before TLS.
type EarlyFlags uint16

// EarlyResendWKc asks the client to send its wrapped key again with message 1, so that the server can forget it.
const EarlyResendWKc EarlyFlags = 0x0001

// earlyMark stands in the replay ids of a client that can negotiate early.
const earlyMark = 0x0F000000

// EarlyStart is the replay counter such a client starts from; its first packet has EarlyStart+1.
const EarlyStart uint32 = earlyMark

// SupportsEarly tells from the replay id of a client's first packet whether the client can negotiate early.
func SupportsEarly(packetID uint32) bool { return packetID&earlyMark == earlyMark }

// AppendEarlyFlags appends the one record servers send, 0001 0002 flags.
func AppendEarlyFlags(dst []byte, f EarlyFlags) []byte {
	dst = binary.BigEndian.AppendUint16(dst, earlyTypeFlags)
	dst = binary.BigEndian.AppendUint16(dst, 2)
	return binary.BigEndian.AppendUint16(dst, uint16(f))
}

// ParseEarly reads the records in the payload of a server's hard reset with message id 0; an empty payload has no
// flags. Unknown types are skipped, unknown flags kept. It returns ErrEarly for a truncated record or a flags record
// of another length.
//
// Rule: docs/protocol.md#26-tls-crypt-v2-handshake-early-negotiation-and-wkc-resend.
func ParseEarly(b []byte) (EarlyFlags, error) {
	var flags EarlyFlags
	for len(b) > 0 {
		if len(b) < earlyHeaderSize {
			return 0, ErrEarly
		}
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[earlyHeaderSize:]
		if len(b) < n {
			return 0, ErrEarly
		}
		if typ == earlyTypeFlags {
			if n != 2 {
				return 0, ErrEarly
			}
			flags = EarlyFlags(binary.BigEndian.Uint16(b))
		}
		b = b[n:]
	}
	return flags, nil
}
