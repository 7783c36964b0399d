package data

import "bytes"

// Kind tells what an inbound packet carried.
type Kind uint8

// Kinds.
const (
	None   Kind = iota // nothing to deliver: a stored fragment
	Packet             // a tunnel packet
	Ping               // a keepalive
	OCC                // an OCC message other than exit: type u8 | body, see OCCType
	Exit               // the peer leaves (OCC exit)
)

// pingMagic is the whole keepalive payload; occMagic begins every OCC payload.
var (
	pingMagic = []byte{0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48}
	occMagic  = []byte{0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c}
)

// OCCType is the first byte behind the magic of an OCC payload.
type OCCType uint8

// OCC messages. Names as in the protocol.
const (
	OCCRequest        OCCType = 0 // answered with OCCReply
	OCCReply          OCCType = 1 // options string, NUL
	OCCMTULoadRequest OCCType = 2 // u16 size: answered with an OCCMTULoad that makes a packet of this size
	OCCMTULoad        OCCType = 3 // padding
	OCCMTURequest     OCCType = 4 // answered with OCCMTUReply
	OCCMTUReply       OCCType = 5 // u16 largest received | u16 largest sent
	OCCExit           OCCType = 6 // the sender leaves
)

// AppendOCC appends magic | type | body, a payload for SealControl.
func AppendOCC(dst []byte, t OCCType, body []byte) []byte {
	dst = append(dst, occMagic...)
	dst = append(dst, byte(t))
	return append(dst, body...)
}

// classify recognises in-band payloads. For OCC it returns type | body.
func classify(payload []byte) ([]byte, Kind) {
	if len(payload) < len(pingMagic) {
		return payload, Packet
	}
	switch payload[0] {
	case pingMagic[0]:
		if bytes.Equal(payload, pingMagic) {
			return payload, Ping
		}
	case occMagic[0]:
		if len(payload) > len(occMagic) && bytes.Equal(payload[:len(occMagic)], occMagic) {
			payload = payload[len(occMagic):]
			if OCCType(payload[0]) == OCCExit {
				return payload, Exit
			}
			return payload, OCC
		}
	}
	return payload, Packet
}

// maxLoad is the largest packet that a peer gets by asking for one of a size, in bytes: a jumbo frame.
const maxLoad = 9216

// answerOCC appends the OCC payload that answers msg (type | body, as Open returns it), or returns dst unchanged when
// none is due. options is our OCC string; maxRecv and maxSend are the largest packets seen in bytes; overhead is the
// Channel's. Stock answers the same.
func answerOCC(dst, msg []byte, options string, maxRecv, maxSend, overhead int) []byte {
	if len(msg) == 0 {
		return dst
	}
	switch OCCType(msg[0]) {
	case OCCRequest:
		dst = AppendOCC(dst, OCCReply, []byte(options))
		return append(dst, 0)
	case OCCMTURequest:
		return AppendOCC(dst, OCCMTUReply, []byte{byte(maxRecv >> 8), byte(maxRecv), byte(maxSend >> 8), byte(maxSend)})
	case OCCMTULoadRequest:
		if len(msg) < 3 {
			return dst
		}
		pad := min(int(msg[1])<<8+int(msg[2]), maxLoad) - overhead - len(occMagic) - 1
		dst = AppendOCC(dst, OCCMTULoad, nil)
		return append(dst, make([]byte, max(pad, 0))...)
	default: // answers, exits and unknown types
		return dst
	}
}
