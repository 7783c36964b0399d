package tlsconf

import (
	"bytes"
	"crypto/x509"
	"errors"
	"time"
)

// maxChain bounds what is sent to us, and so the time spent on signatures of strangers.
const maxChain = 16

// chain returns the verified chain, leaf first. The library decides; when it refuses, our own walk finds
// the depth and OpenSSL's words for it. Expiry alone is left to valid, which comes later in stock's order.
func (c *check) chain(certs []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(certs) > maxChain {
		return nil, c.fail(maxChain, certs[maxChain], "certificate chain too long", nil)
	}
	opts := x509.VerifyOptions{
		Roots: c.roots, Intermediates: x509.NewCertPool(), CurrentTime: c.at,
		KeyUsages: []x509.ExtKeyUsage{c.usage},
	}
	for _, cert := range append(certs[1:len(certs):len(certs)], c.helpers...) {
		opts.Intermediates.AddCert(cert)
	}
	chains, err := certs[0].Verify(opts)
	if err == nil {
		return chains[0], nil
	}
	path, depth, reason := c.walk(certs)
	if reason != "" {
		return nil, c.fail(depth, path[depth], reason, err)
	}
	for depth, cert := range path[1:] {
		if cert.Version >= 3 && (!cert.BasicConstraintsValid || !cert.IsCA) {
			return nil, c.fail(depth+1, cert, "invalid CA certificate", err)
		}
	}
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		return nil, c.fail(0, certs[0], err.Error(), err)
	}
	switch invalid.Reason {
	case x509.Expired:
		for _, cert := range path {
			if timeError(cert, c.at) != "" {
				return path, nil // refused by valid at its turn
			}
		}
		return nil, c.fail(0, certs[0], "certificate has expired", err)
	case x509.IncompatibleUsage:
		return nil, c.fail(0, certs[0], "unsuitable certificate purpose", err)
	case x509.TooManyIntermediates:
		return nil, c.fail(len(path)-1, path[len(path)-1], "path length constraint exceeded", err)
	default:
		return nil, c.fail(0, certs[0], err.Error(), err)
	}
}

// walk follows issuers from the leaf to an anchor. It returns the path as far as it got, and the depth and
// reason of the break, or no reason. It is for words only: nothing is accepted because of it.
func (c *check) walk(certs []*x509.Certificate) (path []*x509.Certificate, depth int, reason string) {
	path = certs[:1:1]
	for {
		cur := path[len(path)-1]
		depth = len(path) - 1
		if c.anchored(cur) {
			return path, depth, ""
		}
		selfSigned := bytes.Equal(cur.RawIssuer, cur.RawSubject)
		next, badSignature := issuer(cur, c.anchors)
		if next == nil && !selfSigned {
			var bad bool
			next, bad = issuer(cur, c.helpers)
			badSignature = badSignature || bad
		}
		if next == nil && !selfSigned {
			var bad bool
			next, bad = issuer(cur, certs[1:])
			badSignature = badSignature || bad
		}
		switch {
		case next != nil && depth < maxChain && !contains(path, next):
			path = append(path, next)
		case badSignature:
			return path, depth, "certificate signature failure"
		case selfSigned && depth == 0:
			return path, depth, "self-signed certificate"
		case selfSigned:
			return path, depth, "self-signed certificate in certificate chain"
		case contains(c.helpers, cur):
			return path, depth, "unable to get issuer certificate"
		default:
			return path, depth, "unable to get local issuer certificate"
		}
	}
}

func (c *check) anchored(cert *x509.Certificate) bool { return contains(c.anchors, cert) }

func contains(list []*x509.Certificate, cert *x509.Certificate) bool {
	for _, have := range list {
		if have.Equal(cert) {
			return true
		}
	}
	return false
}

// issuer returns the certificate among candidates that signed cert. badSignature tells of one that has the
// name, and no other key id, but did not sign it.
func issuer(cert *x509.Certificate, candidates []*x509.Certificate) (found *x509.Certificate, badSignature bool) {
	for _, p := range candidates {
		if !bytes.Equal(p.RawSubject, cert.RawIssuer) {
			continue
		}
		if len(cert.AuthorityKeyId) > 0 && len(p.SubjectKeyId) > 0 && !bytes.Equal(cert.AuthorityKeyId, p.SubjectKeyId) {
			continue
		}
		if p.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil {
			return p, false
		}
		badSignature = true
	}
	return nil, badSignature
}

// valid checks the dates of one certificate.
func (c *check) valid(depth int, cert *x509.Certificate) error {
	if reason := timeError(cert, c.at); reason != "" {
		return c.fail(depth, cert, reason, nil)
	}
	return nil
}

func timeError(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(cert.NotBefore):
		return "certificate is not yet valid"
	case now.After(cert.NotAfter):
		return "certificate has expired"
	default:
		return ""
	}
}
