package tlsconf

import (
	"bytes"
	//lint:ignore SA1019 old authorities have such keys
	"crypto/dsa" //nolint:staticcheck // the same for the other linter
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// Bounds on what is sent to us, and so on the time spent on signatures before a peer is authenticated.
const (
	maxChain      = 16
	maxSignatures = 64
)

// chain returns the chain from the peer's certificate to an anchor, leaf first, with each signature checked and each certificate
// fit for its place. Dates come later, in valid.
func (c *check) chain(sent []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(sent) > maxChain {
		return nil, c.fail(maxChain, sent[maxChain], "certificate chain too long", nil)
	}
	s := search{check: c, sent: sent[1:]}
	path := s.extend(sent[:1:1])
	if path == nil {
		depth := len(s.end) - 1
		return nil, c.fail(depth, s.end[depth], s.reason, s.cause)
	}
	if err := c.suitable(path); err != nil {
		return nil, err
	}
	return path, c.constraints(path)
}

// authorities are certificates of the CA options, by the canonical form of their subjects and by all their bytes.
type authorities struct {
	named map[string][]*x509.Certificate
	whole map[string]bool
}

func (a *authorities) add(cert *x509.Certificate) {
	if a.named == nil {
		a.named, a.whole = make(map[string][]*x509.Certificate), make(map[string]bool)
	}
	name := certs.Canonical(cert.RawSubject)
	a.named[name], a.whole[string(cert.Raw)] = append(a.named[name], cert), true
}

func (a *authorities) has(cert *x509.Certificate) bool { return a.whole[string(cert.Raw)] }

// search looks for a way from a certificate to an anchor. When there is none it keeps the first end it came to, for the log.
type search struct {
	*check
	sent       []*x509.Certificate // what the peer sent besides its own
	signatures int

	end    []*x509.Certificate
	reason string // OpenSSL's words
	cause  error
}

// extend returns path with the certificates up to an anchor, or nil.
func (s *search) extend(path []*x509.Certificate) []*x509.Certificate {
	cur := path[len(path)-1]
	if s.anchored(cur) {
		return path
	}
	name := certs.Canonical(cur.RawIssuer)
	candidates := slices.Clone(s.anchors.named[name])
	self := selfSigned(cur)
	if !self {
		candidates = append(candidates, s.helpers.named[name]...)
		for _, p := range s.sent {
			if certs.Canonical(p.RawSubject) == name {
				candidates = append(candidates, p)
			}
		}
	}
	// Of two that fit equally well, that whose dates are right: an old one and a new one with the same key.
	now := slices.Clone(candidates)
	candidates = append(
		slices.DeleteFunc(now, func(p *x509.Certificate) bool { return timeError(p, s.at) != "" }),
		slices.DeleteFunc(candidates, func(p *x509.Certificate) bool { return timeError(p, s.at) == "" })...)
	bad, tried := error(nil), false
	for _, p := range candidates {
		if contains(path, p) || !mayIssue(p, cur) || len(path) > maxChain || s.signatures >= maxSignatures {
			continue
		}
		s.signatures += cost(p)
		if err := s.signed.check(cur, p); err != nil {
			bad = err
			continue
		}
		tried = true
		if found := s.extend(append(path[:len(path):len(path)], p)); found != nil {
			return found
		}
	}
	if s.end != nil {
		return nil
	}
	s.end, s.cause = path, bad
	switch {
	case errors.Is(bad, certs.ErrAlgorithm):
		s.reason = "signature algorithm or key of the issuer not known to the TLS library"
	case bad != nil && !tried:
		s.reason = "certificate signature failure"
	case self && len(path) == 1:
		s.reason = "self-signed certificate"
	case self:
		s.reason = "self-signed certificate in certificate chain"
	case s.helpers.has(cur):
		s.reason = "unable to get issuer certificate"
	default:
		s.reason = "unable to get local issuer certificate"
	}
	return nil
}

// cost counts a signature by the time that checking it takes: keys that the standard library is slow with, or does not have, cost what
// eight others cost.
func cost(signer *x509.Certificate) int {
	switch key := signer.PublicKey.(type) {
	case *dsa.PublicKey:
		return 8
	case *ecdsa.PublicKey:
		if !certs.OnNIST(key) {
			return 8
		}
	}
	return 1
}

func (c *check) anchored(cert *x509.Certificate) bool { return c.anchors.has(cert) }

func contains(list []*x509.Certificate, cert *x509.Certificate) bool {
	return slices.ContainsFunc(list, func(have *x509.Certificate) bool { return bytes.Equal(have.Raw, cert.Raw) })
}

// selfSigned reports whether a certificate says that its own key signed it.
func selfSigned(cert *x509.Certificate) bool { return certs.SelfIssued(cert) && sameKeyID(cert, cert) }

// mayIssue reports whether p, which has the name of cert's issuer, is meant to be it.
func mayIssue(p, cert *x509.Certificate) bool {
	usage, ok, err := certs.KeyUsage(p)
	return err == nil && (!ok || usage&certs.KeyUsageCertSign != 0) && sameKeyID(p, cert)
}

// sameKeyID reports whether the key identifier in p is that which cert gives for its issuer, as far as both have one.
func sameKeyID(p, cert *x509.Certificate) bool {
	return len(cert.AuthorityKeyId) == 0 || len(p.SubjectKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, p.SubjectKeyId)
}

// constraints checks the names of all certificates against the name constraints of those above.
func (c *check) constraints(path []*x509.Certificate) error {
	for depth, cert := range path {
		if depth > 0 && certs.SelfIssued(cert) {
			continue
		}
		for _, above := range path[depth+1:] {
			if reason := certs.Breaks(above, cert, depth == 0); reason != "" {
				return c.fail(depth, cert, reason, nil)
			}
		}
	}
	return nil
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
	case cert.NotBefore.IsZero():
		return "format error in certificate's notBefore field"
	case cert.NotAfter.IsZero():
		return "format error in certificate's notAfter field"
	case now.Before(cert.NotBefore):
		return "certificate is not yet valid"
	case now.After(cert.NotAfter):
		return "certificate has expired"
	default:
		return ""
	}
}
