package tlsconf_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// A key that signs no handshake here is named by its type, and one in the form of OpenSSH with the command that converts it: not "no key",
// and not "does not match the certificate".
func TestTypesOfKeysAreNamed(t *testing.T) {
	block := func(label string, v any) string {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	type pkcs8 struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	of := func(id ...int) string {
		return block("PRIVATE KEY", pkcs8{0, pkix.AlgorithmIdentifier{Algorithm: id}, []byte{0x30, 0}})
	}
	n := big.NewInt(7)
	for _, tt := range []struct{ key, want string }{
		{"-----BEGIN PRIVATE KEY-----\nMEcCAQAwBQYDK2VxBDsEOWmF/GYiUK1cN4Krwf2etqnAIe3F0ardziG13Z+dbUY7\nPPBxDvlZIsfXZlAFp6BmgiEH7jPklrEAFw==\n-----END PRIVATE KEY-----\n", "type Ed448,"}, {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIADBU9vaPyi9zfwRUGLnjma9g/fu6cfaYfwi+iTcgRpo\n-----END PRIVATE KEY-----\n", "type X25519,"},
		{of(1, 2, 840, 113549, 1, 1, 10), "type RSA-PSS,"}, {of(1, 2, 840, 10040, 4, 1), "type DSA,"}, {of(1, 2, 840, 113549, 1, 3, 1), "type DH,"},
		{block("DSA PRIVATE KEY", []*big.Int{n, n, n, n, n, n}), "type DSA,"},
		{block("OPENSSH PRIVATE KEY", []*big.Int{n}), "ssh-keygen -p -m PEM"},
		{block("PUBLIC KEY", []*big.Int{n}), "no private key in PEM form"},
	} {
		_, err := tlsconf.ParseKey([]byte(tt.key), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
