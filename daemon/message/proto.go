package message

// Proto is the bit field IV_PROTO: what a peer can do.
//
// Rule: docs/protocol.md#36-iv_proto-bits.
type Proto uint32

// Bits of IV_PROTO.
const (
	ProtoDataV2          Proto = 1 << 1  // P_DATA_V2 and peer-ids; no other bit counts without it
	ProtoRequestPush     Proto = 1 << 2  // takes a push reply without having asked
	ProtoTLSKeyExport    Proto = 1 << 3  // data keys from the TLS exporter
	ProtoAuthPendingWord Proto = 1 << 4  // keywords in AUTH_PENDING
	ProtoP2PNegotiation  Proto = 1 << 5  // cipher negotiation between peers that do not pull
	ProtoDNS26           Proto = 1 << 6  // the dns option in the syntax of 2.6
	ProtoCCExit          Proto = 1 << 7  // EXIT on the control channel, protocol-flags
	ProtoAuthTemp        Proto = 1 << 8  // AUTH_FAILED,TEMP
	ProtoDynamicTLSCrypt Proto = 1 << 9  // dynamic tls-crypt for renegotiations
	ProtoDataEpoch       Proto = 1 << 10 // epoch data format
	ProtoDNS             Proto = 1 << 11 // the dns option in the syntax of 2.7
	ProtoPushUpdate      Proto = 1 << 12 // PUSH_UPDATE
)

// What we announce: pullProto as a client that takes options from its server, peerProto to a peer that pushes nothing.
const (
	pullProto = ProtoDataV2 | ProtoRequestPush | ProtoTLSKeyExport | ProtoAuthPendingWord | ProtoDNS26 | ProtoCCExit | ProtoAuthTemp |
		ProtoDynamicTLSCrypt | ProtoDataEpoch | ProtoDNS | ProtoPushUpdate
	peerProto = ProtoDataV2 | ProtoTLSKeyExport | ProtoP2PNegotiation | ProtoDNS26 | ProtoCCExit | ProtoDynamicTLSCrypt | ProtoDataEpoch
)

// Has reports whether a peer announced a bit.
func (p Proto) Has(bit Proto) bool { return p&ProtoDataV2 != 0 && p&bit != 0 }
