package material

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Describe is the log line about a finished handshake.
//
//	Control Channel: TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ECprime256v1,
//	signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519
func Describe(s *tls.ConnectionState) string {
	version := map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[s.Version]
	suite := version
	if s.Version != tls.VersionTLS13 {
		suite = "TLSv1.2"
	}
	out := fmt.Sprintf("Control Channel: %s, cipher %s %s", version, suite, tlsconf.SuiteName(s.CipherSuite))
	if len(s.PeerCertificates) > 0 {
		cert := s.PeerCertificates[0]
		out += fmt.Sprintf(", peer certificate: %s, signature: %s", keyText(cert), signatureText(cert.SignatureAlgorithm))
	}
	if group := map[tls.CurveID]string{
		tls.X25519: "253 bits X25519", tls.CurveP256: "256 bits ECprime256v1", tls.CurveP384: "384 bits ECsecp384r1",
		tls.CurveP521: "521 bits ECsecp521r1", tls.X25519MLKEM768: "X25519MLKEM768",
	}[s.CurveID]; group != "" {
		out += ", peer temporary key: " + group
	}
	return out
}

func keyText(cert *x509.Certificate) string {
	switch k := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("%d bits RSA", k.N.BitLen())
	case *ecdsa.PublicKey:
		name := map[string]string{"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}[k.Params().Name]
		return fmt.Sprintf("%d bits EC%s", k.Params().BitSize, name)
	case ed25519.PublicKey:
		return "256 bits ED25519"
	default:
		return "unknown key"
	}
}

func signatureText(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA256WithRSA:
		return "RSA-SHA256"
	case x509.SHA384WithRSA:
		return "RSA-SHA384"
	case x509.SHA512WithRSA:
		return "RSA-SHA512"
	case x509.SHA1WithRSA:
		return "RSA-SHA1"
	case x509.ECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case x509.ECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case x509.ECDSAWithSHA512:
		return "ecdsa-with-SHA512"
	case x509.PureEd25519:
		return "ED25519"
	default:
		return a.String()
	}
}
