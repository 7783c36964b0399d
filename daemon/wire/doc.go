// Package wire holds the shapes of OpenVPN packets: first byte, control packet body and data packet header. It keys nothing,
// checks nothing cryptographic and does no I/O; every integer is big-endian.
//
// # Packets
//
//	control   byte0 | session id 8 | (wrapping) | ack block | message id | payload
//	ack       byte0 | session id 8 | (wrapping) | ack block
//	data V1   byte0 | body
//	data V2   byte0 | peer-id 3    | body
//
// with byte0 = opcode<<3 | key id. Wrapping is the business of package ctrlwrap, bodies of data packets that of
// package data.
//
// Parsers take a slice, never keep it beyond what their comment says, and return sentinels (ErrShort, ErrOpcode, …)
// without data in them: a malformed packet is counted and dropped, and must not cost an allocation.
package wire
