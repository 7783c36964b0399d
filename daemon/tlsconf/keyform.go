package tlsconf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// parseDER reads a private key in any of its forms, whatever the label of its block says, as OpenSSL does.
func parseDER(ber []byte) (crypto.PrivateKey, error) {
	der, err := certs.DER(ber)
	if err != nil {
		return nil, err
	}
	if name := unusable(der); name != "" {
		return nil, fmt.Errorf("private key of type %s, %s", name, whatSigns)
	}
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

// whatSigns ends the errors about keys that do not.
const whatSigns = "which signs no handshake here; want RSA, P-256, P-384, P-521 or Ed25519"

// otherKeys are types of keys in PKCS#8 that people have, and crypto/tls signs with none of.
var otherKeys = map[string]string{
	"1.2.840.113549.1.1.10": "RSA-PSS", "1.3.101.113": "Ed448", "1.3.101.110": "X25519", "1.3.101.111": "X448", "1.2.840.10040.4.1": "DSA",
	"1.2.840.113549.1.3.1": "DH", "1.2.840.10046.2.1": "DH",
}

// unusable names the type of a key that cannot sign, "" for one that may.
func unusable(der []byte) string {
	var outer struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		Rest      []asn1.RawValue `asn1:"optional,tag:0"`
	}
	if _, err := asn1.Unmarshal(der, &outer); err == nil {
		return otherKeys[outer.Algorithm.Algorithm.String()]
	}
	var numbers []*big.Int // of the old form of DSA: version, p, q, g, public, private
	if _, err := asn1.Unmarshal(der, &numbers); err == nil && len(numbers) == 6 {
		return "DSA"
	}
	return ""
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
		return nil, fmt.Errorf("private key on the curve %s, %s", curve.Params().Name, whatSigns)
	}
	return key, nil
}
