// Package tokens is smart cards and other holders of keys behind PKCS#11 modules.
//
// A module is a shared object, so it needs cgo: only builds with the tag pkcs11 have it. In all others [Supported] is false,
// [Open] fails, and the options are refused. Everything else of the daemon sees the same API either way.
//
//	Open ── modules ── tokens in slots ── Certificate(id) ── Key ── Sign: log in when the token wants it, then sign
//
// The PIN is asked for when the first signature is wanted, not when the certificate is read, as stock does.
package tokens
