// Package tlsconf turns what the TLS options of a configuration say into *[tls.Config] values, and checks
// the certificates of peers the way OpenVPN does.
//
// It knows nothing of option files: [Options] holds bytes, names and numbers. [Build] reads keys and
// certificates once; [Config.TLS] then gives each handshake its own *[tls.Config], which shares everything
// but the [Hooks] of that handshake.
//
// # What is checked
//
// crypto/tls is told not to verify; [tls.Config.VerifyConnection] does all of it, in this order:
//
//	chain to a certificate authority, purpose, constraints   (or a fingerprint list instead)
//	key sizes and signature algorithms of the profile
//	revocation, for every certificate of the chain
//	fingerprint of the level-1 certificate
//	from the top of the chain down to the peer's own:
//	    validity
//	    key usage, extended key usage, name                  depth 0 only
//	    Hooks.Cert                                           the tls-verify hook
//
// Host names are never compared: names of VPN peers are compared by verify-x509-name alone.
// Each check reports a [Step], whose Line stock OpenVPN logs at that moment.
//
// All of that runs in the goroutine of the handshake, so hooks may block.
package tlsconf
