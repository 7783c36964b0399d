package tlsconf

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// role names the use of a certificate: the extended key usage it needs when it has any, its bits in the Netscape extension,
// and the key usages of which the peer's own certificate needs one.
type role struct {
	usages               []asn1.ObjectIdentifier
	netscape, netscapeCA uint32
	keyUsage             uint32
}

var (
	clientRole = role{[]asn1.ObjectIdentifier{clientAuth.oid}, 0x80, 0x04, certs.KeyUsageDigitalSignature | certs.KeyUsageKeyAgreement}
	serverRole = role{
		[]asn1.ObjectIdentifier{serverAuth.oid, {2, 16, 840, 1, 113730, 4, 1}, {1, 3, 6, 1, 4, 1, 311, 10, 3, 3}}, // gated crypto
		0x40, 0x04, certs.KeyUsageDigitalSignature | certs.KeyUsageKeyEncipherment | certs.KeyUsageKeyAgreement,
	}
)

// suitable checks what the certificates of a chain say about their use: that those above the peer's are authorities, how many may
// lie below them, and that all are meant for the peer's role. It refuses what OpenSSL refuses, in its words. A certificate between
// the peer's and the anchor is one of an authority by its basic constraints alone.
func (c *check) suitable(path []*x509.Certificate) error {
	below := 0 // authorities below the one looked at that count for its limit
	for depth, cert := range path {
		if certs.UnknownCritical(cert) {
			return c.fail(depth, cert, "unhandled critical extension", nil)
		}
		if _, proxy := certs.Extension(cert, certs.OIDProxy); proxy {
			return c.fail(depth, cert, "proxy certificates not allowed, please set the appropriate flag", nil)
		}
		limits, err := certs.BasicConstraints(cert)
		if err != nil || certs.Twice(cert) {
			return c.fail(depth, cert, "invalid or inconsistent certificate extension", err)
		}
		if between := 0 < depth && depth < len(path)-1; between && !limits.CA || depth > 0 && !authority(cert, limits) {
			return c.fail(depth, cert, "invalid CA certificate", nil)
		}
		fits, err := c.role.fits(cert, depth > 0)
		if err != nil {
			return c.fail(depth, cert, "invalid or inconsistent certificate extension", err)
		}
		if !fits {
			return c.fail(depth, cert, "unsuitable certificate purpose", nil)
		}
		if depth > 1 && limits.PathLen >= 0 && below > limits.PathLen {
			return c.fail(depth, cert, "path length constraint exceeded", nil)
		}
		if depth > 0 && !certs.SelfIssued(cert) {
			below++
		}
	}
	return nil
}

// authority reports whether a certificate may issue others. Without basic constraints those of version 1 that signed themselves
// may, those with a key usage for it, and those that the Netscape extension calls so.
func authority(cert *x509.Certificate, limits certs.Constraints) bool {
	usage, hasUsage, err := certs.KeyUsage(cert)
	if err != nil || hasUsage && usage&certs.KeyUsageCertSign == 0 {
		return false
	}
	netscape, _, err := certs.NetscapeType(cert)
	switch {
	case err != nil:
		return false
	case limits.Present:
		return limits.CA
	default:
		return cert.Version == 1 && selfSigned(cert) || hasUsage || netscape&0x07 != 0
	}
}

// fits reports whether a certificate may be used in a role, or for an authority of such.
func (r role) fits(cert *x509.Certificate, ca bool) (bool, error) {
	purposes, has, err := certs.ExtKeyUsage(cert)
	if err != nil {
		return false, err
	}
	if has && !slices.ContainsFunc(purposes, func(p asn1.ObjectIdentifier) bool { return slices.ContainsFunc(r.usages, p.Equal) }) {
		return false, nil
	}
	usage, hasUsage, err := certs.KeyUsage(cert)
	if err != nil {
		return false, err
	}
	netscape, hasNetscape, err := certs.NetscapeType(cert)
	switch {
	case err != nil:
		return false, err
	case ca:
		_, constrained := certs.Extension(cert, certs.OIDBasicConstraints)
		return constrained || hasUsage || !hasNetscape || netscape&r.netscapeCA != 0, nil
	default:
		return (!hasUsage || usage&r.keyUsage != 0) && (!hasNetscape || netscape&r.netscape != 0), nil
	}
}
