package tlsconf

import (
	"crypto"
	//lint:ignore SA1019 old authorities have such keys
	"crypto/dsa" //nolint:staticcheck // the same for the other linter
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// profile is the value of tls-cert-profile, in rising order.
type profile uint8

const (
	insecure  profile = iota // also signatures over MD5 and SHA-1
	legacy                   // RSA from 1024 bits, elliptic curves from 160 bits; no MD5, no SHA-1
	preferred                // RSA from 2048 bits, elliptic curves from 224 bits
	suiteb                   // P-256 and P-384 with SHA-256 and SHA-384
)

func parseProfile(name string) (profile, error) {
	switch name {
	case "", "legacy":
		return legacy, nil
	case "insecure":
		return insecure, nil
	case "preferred":
		return preferred, nil
	case "suiteb":
		return suiteb, nil
	default:
		return 0, fmt.Errorf("ERROR: Invalid cert profile: %s", name)
	}
}

// algorithms checks key sizes, and for suiteb curves and hashes, of a whole chain.
func (c *check) algorithms(chain []*x509.Certificate) error {
	for depth, cert := range chain {
		if !c.profile.allowsKey(cert.PublicKey) {
			reason := "EE certificate key too weak"
			if depth > 0 {
				reason = "CA certificate key too weak"
			}
			return c.fail(depth, cert, reason, nil)
		}
		// The signature of an anchor on itself says nothing.
		if !c.anchored(cert) && !c.profile.allowsSignature(cert) {
			return c.fail(depth, cert, "CA signature digest algorithm too weak", nil)
		}
	}
	return nil
}

// refusesOwn says why our own certificate cannot be used, as stock refuses to load such a one: other ends refuse it too.
func (p profile) refusesOwn(cert *x509.Certificate) error {
	switch {
	case cert == nil:
		return nil
	case !p.allowsKey(cert.PublicKey):
		return fmt.Errorf("cert: its key is too small or of another kind than tls-cert-profile %s takes (ee key too small)", p)
	case !selfSigned(cert) && !p.allowsSignature(cert):
		return fmt.Errorf("cert: it is signed over a digest that tls-cert-profile %s does not take (ca md too weak); with insecure it is sent all the same", p)
	}
	return nil
}

func (p profile) String() string { return [...]string{"insecure", "legacy", "preferred", "suiteb"}[p] }

func (p profile) allowsSignature(cert *x509.Certificate) bool {
	switch p {
	case insecure:
		return true
	case suiteb:
		return cert.SignatureAlgorithm == x509.ECDSAWithSHA256 || cert.SignatureAlgorithm == x509.ECDSAWithSHA384
	default:
		h := certs.Hash(cert)
		return h != crypto.MD5 && h != crypto.SHA1
	}
}

func (p profile) allowsKey(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch p {
		case insecure:
			return true
		case legacy:
			return k.N.BitLen() >= 1024
		case preferred:
			return k.N.BitLen() >= 2048
		default:
			return false
		}
	case *ecdsa.PublicKey:
		return p != suiteb || k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	case ed25519.PublicKey, ed448.PublicKey:
		return p != suiteb
	case *dsa.PublicKey:
		return p == insecure || p == legacy && k.P.BitLen() >= 1024 || p == preferred && k.P.BitLen() >= 2048
	default:
		return false
	}
}
