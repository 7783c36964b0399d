// Package data is the data channel: it turns tunnel packets into encrypted packets and back.
//
// Outbound is from the device to the link, inbound the other way. A [Channel] holds everything of one session: key
// slots, packet ids, replay windows, framing, fragments and counters. It does no I/O, starts no goroutine and reads no
// clock; bytes and a time go in, bytes come out.
//
//	outbound  payload ─► mssfix ─► compression framing ─► fragment header ─► packet id, encrypt ─► header
//	inbound   header ─► key slot ─► authenticate, decrypt ─► replay ─► reassemble ─► deframe ─► ping/OCC or payload
//
// # Shapes
//
//	V2     | 9<<3+key-id | peer-id u24 | packet body      V1     | 6<<3+key-id | packet body       static  | body
//	AEAD   | packet id u32 | tag 16 | ciphertext |
//	epoch  | epoch u16 | counter u48 | ciphertext | tag 16 |                      (V2 only)
//	CBC    | HMAC | IV | E( packet id u32 [| time u32, static key] | payload | padding ) |
//	CFB    | HMAC | IV = packet id u32 | time u32 | 0… | E( payload ) |           (OFB likewise)
//	none   | HMAC | packet id u32 [| time u32] | payload |
//
// # Concurrency
//
// Seal, SealBatch and their kin may run on several goroutines: ids come from an atomic counter, legacy ciphers take a
// lock of their key. Open has one caller at a time. SetKey, DropKey and the getters may run beside both:
// key slots are published as immutable snapshots.
package data
