package certs

import (
	"bytes"
	"crypto"
	//lint:ignore SA1019 old authorities have such keys
	"crypto/dsa" //nolint:staticcheck // the same for the other linter
	"crypto/ecdsa"
	"crypto/ed25519"
	_ "crypto/md5" //nolint:gosec // for who asks for it: tls-cert-profile insecure
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // as above
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
)

var (
	oidRSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEd448  = asn1.ObjectIdentifier{1, 3, 101, 113}
	oidRSAPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
)

// scheme is a way to sign.
type scheme uint8

const (
	unknown scheme = iota
	pkcs1
	pss
	ecdsaSig
	ed25519Sig
	ed448Sig
	dsaSig
)

// schemes are the signature algorithms that can be checked. That of PSS is in its parameters.
var schemes = []struct {
	oid    asn1.ObjectIdentifier
	scheme scheme
	hash   crypto.Hash
	name   x509.SignatureAlgorithm
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, pkcs1, crypto.MD5, x509.MD5WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, pkcs1, crypto.SHA1, x509.SHA1WithRSA},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 29}, pkcs1, crypto.SHA1, x509.SHA1WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 14}, pkcs1, crypto.SHA224, 0},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, pkcs1, crypto.SHA256, x509.SHA256WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, pkcs1, crypto.SHA384, x509.SHA384WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, pkcs1, crypto.SHA512, x509.SHA512WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 16}, pkcs1, crypto.SHA512_256, 0},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 13}, pkcs1, crypto.SHA3_224, 0},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 14}, pkcs1, crypto.SHA3_256, 0},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 15}, pkcs1, crypto.SHA3_384, 0},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 16}, pkcs1, crypto.SHA3_512, 0},
	{oidRSAPSS, pss, 0, 0},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}, ecdsaSig, crypto.SHA1, x509.ECDSAWithSHA1},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 1}, ecdsaSig, crypto.SHA224, 0},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, ecdsaSig, crypto.SHA256, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, ecdsaSig, crypto.SHA384, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, ecdsaSig, crypto.SHA512, x509.ECDSAWithSHA512},
	{asn1.ObjectIdentifier{1, 3, 101, 112}, ed25519Sig, 0, x509.PureEd25519},
	{oidEd448, ed448Sig, 0, 0},
	{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 3}, dsaSig, crypto.SHA1, x509.DSAWithSHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 1}, dsaSig, crypto.SHA224, 0},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 2}, dsaSig, crypto.SHA256, x509.DSAWithSHA256},
}

// algorithm is an AlgorithmIdentifier.
type algorithm struct {
	oid    asn1.ObjectIdentifier
	params reader // DER of the parameters, empty without
	raw    []byte
}

func parseAlgorithm(r *reader) (algorithm, error) {
	e, err := r.want(tagSequence)
	if err != nil {
		return algorithm{}, err
	}
	id, err := e.content.want(tagOID)
	if err != nil {
		return algorithm{}, err
	}
	return algorithm{oid(id.content), e.content, e.raw}, nil
}

// how returns scheme and hash of a signature algorithm, and for PSS what the mask is made with and the length of the salt.
func (a algorithm) how() (s scheme, hash, mask crypto.Hash, salt int) {
	for _, known := range schemes {
		if !known.oid.Equal(a.oid) {
			continue
		}
		if known.scheme == pss {
			hash, mask, salt = a.pss()
			if hash == 0 || mask == 0 {
				return unknown, 0, 0, 0
			}
			return pss, hash, mask, salt
		}
		return known.scheme, known.hash, 0, 0
	}
	return unknown, 0, 0, 0
}

// name is the standard library's name of an algorithm, 0 without one.
func (a algorithm) name() x509.SignatureAlgorithm {
	for _, known := range schemes {
		if known.oid.Equal(a.oid) && known.scheme != pss {
			return known.name
		}
	}
	if s, hash, mask, _ := a.how(); s == pss && hash == mask {
		switch hash {
		case crypto.SHA256:
			return x509.SHA256WithRSAPSS
		case crypto.SHA384:
			return x509.SHA384WithRSAPSS
		case crypto.SHA512:
			return x509.SHA512WithRSAPSS
		}
	}
	return x509.UnknownSignatureAlgorithm
}

var hashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, crypto.SHA224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

func hashOf(a algorithm) crypto.Hash {
	for _, known := range hashes {
		if known.oid.Equal(a.oid) {
			return known.hash
		}
	}
	return 0
}

var oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

// pss reads the parameters of PSS: hash, hash of the mask function, salt length, each with a default. Other parameters give no hash.
//
// Rule: RFC 4055, section 3.1.
func (a algorithm) pss() (_, _ crypto.Hash, _ int) {
	hash, mask, salt := crypto.SHA1, crypto.SHA1, 20
	params := a.params
	e, err := params.want(tagSequence)
	if err != nil {
		return 0, 0, 0
	}
	for r := e.content; !r.empty(); {
		p, err := r.next()
		if err != nil {
			return 0, 0, 0
		}
		switch p.tag {
		case 0xa0:
			alg, err := parseAlgorithm(&p.content)
			if err != nil {
				return 0, 0, 0
			}
			hash = hashOf(alg)
		case 0xa1:
			alg, err := parseAlgorithm(&p.content)
			if err != nil || !alg.oid.Equal(oidMGF1) {
				return 0, 0, 0
			}
			if alg, err = parseAlgorithm(&alg.params); err != nil {
				return 0, 0, 0
			}
			mask = hashOf(alg)
		case 0xa2:
			n, err := p.content.want(tagInteger)
			if err != nil {
				return 0, 0, 0
			}
			size := integer(n.content)
			if !size.IsInt64() || size.Int64() < 0 || size.Int64() > 512 {
				return 0, 0, 0
			}
			salt = int(size.Int64())
		case 0xa3: // the trailer: one value
		default:
			return 0, 0, 0
		}
	}
	return hash, mask, salt
}

// Errors of a check of a signature.
var (
	ErrSignature = errors.New("signature does not fit")
	ErrAlgorithm = errors.New("signature algorithm or key that the library does not have")
)

// CheckSignature tells whether the key of by signed cert.
func CheckSignature(cert, by *x509.Certificate) error {
	s, err := parseSigned(cert.Raw)
	if err != nil {
		return err
	}
	body := s.body
	if _, _, err := body.skip(0xa0); err != nil {
		return err
	}
	if _, err := body.next(); err != nil { // serial number
		return err
	}
	return s.check(body, by.PublicKey)
}

// check verifies a signature with key. inner stands before the algorithm that the body names, which has to be that outside.
func (s signed) check(inner reader, key any) error {
	alg, err := inner.want(tagSequence)
	if err != nil {
		return err
	}
	if !bytes.Equal(alg.raw, s.algorithm.raw) {
		return fmt.Errorf("%w: it names two algorithms", ErrSignature)
	}
	scheme, hash, mask, salt := s.algorithm.how()
	digest := s.bytes
	if hash != 0 {
		if !hash.Available() {
			return ErrAlgorithm
		}
		h := hash.New()
		h.Write(s.bytes)
		digest = h.Sum(nil)
	}
	ok := false
	switch pub := key.(type) {
	case *rsa.PublicKey:
		switch scheme {
		case pkcs1:
			ok = rsa.VerifyPKCS1v15(pub, hash, digest, s.signature) == nil
		case pss:
			if hash != mask {
				ok = mixedPSS(pub, hash, mask, digest, s.signature, salt)
				break
			}
			ok = rsa.VerifyPSS(pub, hash, digest, s.signature, &rsa.PSSOptions{SaltLength: salt, Hash: hash}) == nil
		default:
			return ErrAlgorithm
		}
	case *ecdsa.PublicKey:
		if scheme != ecdsaSig {
			return ErrAlgorithm
		}
		ok = ecdsa.VerifyASN1(pub, digest, s.signature)
	case ed25519.PublicKey:
		if scheme != ed25519Sig {
			return ErrAlgorithm
		}
		ok = ed25519.Verify(pub, digest, s.signature)
	case ed448.PublicKey:
		if scheme != ed448Sig {
			return ErrAlgorithm
		}
		ok = ed448.Verify(pub, digest, s.signature, "")
	case *dsa.PublicKey:
		if scheme != dsaSig {
			return ErrAlgorithm
		}
		ok = verifyDSA(pub, digest, s.signature)
	default:
		return ErrAlgorithm
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

func verifyDSA(pub *dsa.PublicKey, digest, sig []byte) bool {
	r := reader(sig)
	pair, err := r.want(tagSequence)
	if err != nil {
		return false
	}
	var n [2]*big.Int
	for i := range n {
		e, err := pair.content.want(tagInteger)
		if err != nil {
			return false
		}
		n[i] = integer(e.content)
	}
	if pub.P.BitLen() > 4096 || pub.Q.BitLen() > 512 { // a peer that is not authenticated chooses them, and what they cost
		return false
	}
	if size := (pub.Q.BitLen() + 7) / 8; len(digest) > size {
		digest = digest[:size]
	}
	return dsa.Verify(pub, digest, n[0], n[1])
}

func algorithmOf(key any) x509.PublicKeyAlgorithm {
	switch key.(type) {
	case *rsa.PublicKey:
		return x509.RSA
	case *ecdsa.PublicKey:
		return x509.ECDSA
	case ed25519.PublicKey:
		return x509.Ed25519
	case *dsa.PublicKey:
		return x509.DSA
	default:
		return x509.UnknownPublicKeyAlgorithm
	}
}

// Hash returns the hash that is signed in a certificate: 0 for algorithms that sign the message, and for unknown ones.
func Hash(cert *x509.Certificate) crypto.Hash {
	s, err := parseSigned(cert.Raw)
	if err != nil {
		return 0
	}
	_, hash, _, _ := s.algorithm.how()
	return hash
}
