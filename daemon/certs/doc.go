// Package certs reads certificates and revocation lists as they are in the world, and checks signatures.
//
// [Parse] refuses what cannot be used at all: bytes that are no certificate. All else is read as far as it can be: a name with
// characters its string type does not allow, an unknown key type, an odd extension. Who may connect is decided by the checks of
// daemon/tlsconf, from what was read.
//
// Certificates are carried in [x509.Certificate] of the standard library, with these differences from what its own parser leaves
// there: PublicKey is nil for keys the library does not know; NotBefore and NotAfter are zero when they have no form that
// RFC 5280 allows; Subject, Issuer and the fields of extensions that this program does not look at are empty: [Names] reads
// RawSubject and RawIssuer; of a repeated extension the first counts.
//
// Rule: RFC 5280, sections 4.1, 4.2, 5.1 and 7.1.
package certs
