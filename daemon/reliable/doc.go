// Package reliable delivers the messages of the control channel in order over packets that get lost: numbering,
// acks, windows and retransmit times. It does no I/O and has no clock; a time comes in with every call that needs one.
//
// One Sender and one Receiver serve one key id; message ids start at 0 in each.
//
//	Queue ─► slot (unacked) ─Due─► packet   ─Ack─► free
//	packet ─Offer─► slot (stored) ─Pop─► TLS;  the id goes to Acks, which ride on our packets
//
// Rule: docs/protocol.md#28-reliability-layer.
package reliable

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Numbers of the reference, which peers depend on.
const (
	SendWindow     = 6               // unacknowledged messages at most
	ReceiveWindow  = 12              // messages from the next expected one on
	PiggybackAcks  = 4               // acks on a packet that has a message
	PacketAcks     = wire.MaxAcks    // acks in a packet of their own
	DefaultTimeout = 2 * time.Second // tls-timeout: first retransmit, then doubling
	earlyAcks      = 3               // acks for later messages that make one due at once
)

// Message is one message of the reliable layer.
type Message struct {
	ID      uint32
	Op      wire.Opcode
	Payload []byte // aliases a slot; see the method that returned it
	Sends   int    // of Due: which transmission this is, from 1
}
