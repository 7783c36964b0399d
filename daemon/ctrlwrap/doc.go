// Package ctrlwrap protects control packets: nothing at all, tls-auth, tls-crypt, tls-crypt-v2, and the tls-crypt key
// that sessions agree on for renegotiations.
//
//	plain      byte0 | session id 8 | body
//	tls-auth   byte0 | session id 8 | HMAC | packet id u32 | time u32 | body
//	tls-crypt  byte0 | session id 8 | packet id u32 | time u32 | tag 32 | encrypted body
//	v2         as tls-crypt; behind opcodes 10 and 11 the wrapped client key in clear
//
// body has the bytes of a wire.ControlBody. The packet id here is the replay id, not the message id: a message that is
// sent again is wrapped again and gets a new one.
//
// A Wrapper belongs to one session and both its directions. A Prototype stands in front of the sessions of a server
// and looks at packets of unknown addresses without keeping anything about them.
//
// Rule: docs/protocol.md#22-replay-id, docs/protocol.md#23-tls-auth, docs/protocol.md#24-tls-crypt, docs/protocol.md#25-tls-crypt-v2-keys, docs/protocol.md#213-dynamic-tls-crypt-for-renegotiation.
package ctrlwrap
