package tlsconf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// parseDER reads a private key in any of its forms, whatever the label of its block says, as OpenSSL does.
func parseDER(der []byte) (crypto.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, ecErr := parseEC(der); key != nil || ecErr != nil {
		return key, ecErr
	}
	return nil, err
}

var oidEC = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}

// parseEC reads an elliptic key that describes its curve in place of naming it. It returns neither key nor error for anything else.
//
// Rule: RFC 5915, section 3, and RFC 5958, section 2.
func parseEC(der []byte) (crypto.PrivateKey, error) {
	var outer struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		Rest      []asn1.RawValue `asn1:"optional,tag:0"`
	}
	var params []byte
	if _, err := asn1.Unmarshal(der, &outer); err == nil {
		if !outer.Algorithm.Algorithm.Equal(oidEC) {
			return nil, nil
		}
		der, params = outer.Key, outer.Algorithm.Parameters.FullBytes
	}
	var inner struct {
		Version int
		Key     []byte
		Params  asn1.RawValue  `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString `asn1:"optional,explicit,tag:1"`
	}
	if _, err := asn1.Unmarshal(der, &inner); err != nil {
		return nil, nil
	}
	if params == nil {
		params = inner.Params.Bytes // the library leaves the explicit tag around it
	}
	curve := certs.Curve(params)
	if curve == nil {
		return nil, fmt.Errorf("private key on an elliptic curve that is not known here; want P-256, P-384, P-521 or Ed25519")
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(inner.Key) > size {
		return nil, nil
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, append(make([]byte, size-len(inner.Key)), inner.Key...))
	if err != nil {
		return nil, fmt.Errorf("private key on the curve %s, which signs no handshake here; want P-256, P-384, P-521 or Ed25519", curve.Params().Name)
	}
	return key, nil
}
