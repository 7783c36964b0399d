package tlsconf

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// Describe returns what stock logs of a finished handshake after "Control Channel: ":
//
//	TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ECprime256v1, signature:
//	ecdsa-with-SHA256, peer temporary key: 253 bits X25519
func Describe(cs *tls.ConnectionState) string {
	b := described(cs)
	if g := groupName(cs.CurveID); g != "" {
		b.WriteString(", peer temporary key: " + g)
	}
	return b.String()
}

// Describe27 is Describe in the words of 2.7, which tells the two ends apart: a client that agreed by encapsulation has no
// temporary key of its server, nor has a server one of its client before TLS 1.3.
//
//	…, peer temporary key: 253 bits X25519, peer signing digest/type: ecdsa_secp256r1_sha256 ECDSA, key agreement: x25519
func Describe27(cs *tls.ConnectionState, server bool) string {
	b := described(cs)
	group, ok := groups27[cs.CurveID]
	switch {
	case !ok && cs.CurveID != 0: // by encapsulation
		group = cs.CurveID.String()
		if server {
			b.WriteString(", peer temporary key: 768 bits " + group)
		}
	case group != "" && (!server || cs.Version == tls.VersionTLS13):
		b.WriteString(", peer temporary key: " + groupName(cs.CurveID))
	}
	if s := signatures27[cs.PeerSignature()]; s != "" {
		b.WriteString(", peer signing digest/type: " + s)
	}
	if group != "" {
		b.WriteString(", key agreement: " + group)
	}
	return b.String()
}

var groups27 = map[tls.CurveID]string{tls.X25519: "x25519", tls.CurveP256: "secp256r1", tls.CurveP384: "secp384r1", tls.CurveP521: "secp521r1"}

var signatures27 = map[tls.SignatureScheme]string{
	tls.ECDSAWithP256AndSHA256: "ecdsa_secp256r1_sha256 ECDSA",
	tls.ECDSAWithP384AndSHA384: "ecdsa_secp384r1_sha384 ECDSA",
	tls.ECDSAWithP521AndSHA512: "ecdsa_secp521r1_sha512 ECDSA",
	tls.PSSWithSHA256:          "rsa_pss_rsae_sha256 RSASSA-PSS",
	tls.PSSWithSHA384:          "rsa_pss_rsae_sha384 RSASSA-PSS",
	tls.PSSWithSHA512:          "rsa_pss_rsae_sha512 RSASSA-PSS",
	tls.PKCS1WithSHA256:        "rsa_pkcs1_sha256 RSA",
	tls.PKCS1WithSHA384:        "rsa_pkcs1_sha384 RSA",
	tls.PKCS1WithSHA512:        "rsa_pkcs1_sha512 RSA",
	tls.Ed25519:                "ed25519 ED25519",
}

// described writes the part that both releases have.
func described(cs *tls.ConnectionState) *strings.Builder {
	var b strings.Builder
	version := strings.ReplaceAll(tls.VersionName(cs.Version), "TLS ", "TLSv")
	fmt.Fprintf(&b, "%s, cipher %s %s", version, suiteVersion(cs.CipherSuite), SuiteName(cs.CipherSuite))
	if len(cs.PeerCertificates) > 0 {
		cert := cs.PeerCertificates[0]
		fmt.Fprintf(&b, ", peer certificate: %s, signature: %s", keyName(cert.PublicKey), signatureName(cert.SignatureAlgorithm))
	}
	return &b
}

// suiteVersion is the first version of TLS that had the suite, as OpenSSL says it.
func suiteVersion(id uint16) string { return cmp.Or(suiteVersions()[id], "SSLv3") }

var suiteVersions = sync.OnceValue(func() map[uint16]string {
	first := make(map[uint16]string)
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		switch {
		case len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13:
			first[s.ID] = "TLSv1.3"
		case len(s.SupportedVersions) == 1:
			first[s.ID] = "TLSv1.2"
		case strings.HasPrefix(s.Name, "TLS_ECDHE"):
			first[s.ID] = "TLSv1.0"
		}
	}
	return first
})

func keyName(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("%d bits RSA", k.N.BitLen())
	case *ecdsa.PublicKey:
		p := k.Curve.Params()
		return fmt.Sprintf("%d bits EC%s", p.BitSize, curveName(p.Name))
	case ed25519.PublicKey:
		return "256 bits ED25519"
	default:
		return "unknown key"
	}
}

func curveName(name string) string {
	switch name {
	case "P-256":
		return "prime256v1"
	case "P-224", "P-384", "P-521":
		return "secp" + strings.TrimPrefix(name, "P-") + "r1"
	default:
		return name
	}
}

func groupName(id tls.CurveID) string {
	switch id {
	case 0:
		return ""
	case tls.X25519:
		return "253 bits X25519"
	case tls.CurveP256:
		return "256 bits ECprime256v1"
	case tls.CurveP384:
		return "384 bits ECsecp384r1"
	case tls.CurveP521:
		return "521 bits ECsecp521r1"
	default:
		return id.String()
	}
}

func signatureName(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA1WithRSA:
		return "RSA-SHA1"
	case x509.SHA256WithRSA:
		return "RSA-SHA256"
	case x509.SHA384WithRSA:
		return "RSA-SHA384"
	case x509.SHA512WithRSA:
		return "RSA-SHA512"
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return "RSASSA-PSS"
	case x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return "ecdsa-with-" + strings.TrimPrefix(a.String(), "ECDSA-")
	case x509.PureEd25519:
		return "ED25519"
	default:
		return a.String()
	}
}
