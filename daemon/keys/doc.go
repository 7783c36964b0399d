// Package keys holds key material and the texts and messages it travels in: static key files, tls-crypt-v2 keys and
// the wrapped client key (WKc), the key-method-2 message, data channel key blocks, auth-tokens, and the names of the
// digests.
//
// # Halves
//
// A 256-byte key is two halves of 128 bytes, each cipher 64 | hmac 64. Algorithms take the leading bytes they need.
//
//	use                                    half sent with
//	tls-auth, static key, no direction     0, both sides
//	tls-auth, static key, direction d      d
//	tls-crypt, also v2 and dynamic         server 0, client 1
//	data channel block of a TLS session    client 0, server 1
//
// Mind the inversion of the last two.
//
// # Secrets
//
// Types that hold secrets implement slog.LogValuer and print as "[redacted]"; compare tags and tokens with the
// functions here, which take constant time.
package keys

import (
	"log/slog"
)

// Role is a side of the TLS session: TLS client or TLS server.
type Role uint8

// The two roles.
const (
	Client Role = iota
	Server
)

// String is "client" or "server".
func (r Role) String() string {
	if r == Server {
		return "server"
	}
	return "client"
}

// Peer is the other role.
func (r Role) Peer() Role { return r ^ 1 }

// redacted stands for a secret wherever one would be printed.
const redacted = "[redacted]"

var redactedValue = slog.StringValue(redacted)
