// Package tls12 stands in for crypto/internal/fips140/tls12, with the public HMAC.
package tls12

import (
	"crypto/hmac"
	"hash"
)

// PRF is the pseudo-random function of TLS 1.2.
//
// Rule: RFC 5246, section 5.
func PRF(hash func() hash.Hash, secret []byte, label string, seed []byte, keyLen int) []byte {
	labelled := append([]byte(label), seed...)
	result := make([]byte, 0, keyLen+hash().Size())
	h := hmac.New(hash, secret)
	sum := func(parts ...[]byte) []byte {
		h.Reset()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	for a := sum(labelled); len(result) < keyLen; a = sum(a) {
		result = append(result, sum(a, labelled)...)
	}
	return result[:keyLen]
}

// MasterSecret is the extended master secret of TLS 1.2.
//
// Rule: RFC 7627, section 4.
func MasterSecret(hash func() hash.Hash, preMasterSecret, transcript []byte) []byte {
	return PRF(hash, preMasterSecret, "extended master secret", transcript, 48)
}
