package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// External is a private key held elsewhere, as behind the management interface.
//
// RSA keys need one of the padding words. With PSS alone TLS 1.2 peers that know only PKCS#1 are refused. TLS 1.3 needs
// PSS or NoPadding; without either it is not offered.
type External struct {
	// Sign returns an RSA signature or a DER ECDSA or Ed25519 signature. It runs in the goroutine of the
	// handshake and may block; the end of the session has to end the call.
	Sign func(SignRequest) ([]byte, error)

	NoPadding bool // flag nopadding: we pad, for PKCS#1 or PSS, and send the block
	PKCS1     bool // flag pkcs1: the other side pads, we send a DigestInfo
	PSS       bool // flag pss: the other side does PSS, we send the digest
	Digest    bool // flag digest: the other side hashes, we send the message
}

// SignRequest is one signature wanted from an [External] key.
type SignRequest struct {
	// Algorithm is the second word of the management request: "ECDSA",
	// "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest", "RSA_PKCS1_PADDING", "RSA_NO_PADDING" …
	Algorithm string
	Data      []byte // what is to be signed, in the form Algorithm says
}

// ErrExternal means that an external key cannot sign in the form asked for with the flags it was given.
var ErrExternal = errors.New("external key: no usable signature form, give management-external-key pss or pkcs1")

// signer returns what crypto/tls signs with, and the signature schemes it may offer for it (nil: any).
func (e *External) signer(cert *x509.Certificate) (crypto.Signer, []tls.SignatureScheme, error) {
	base := externalSigner{pub: cert.PublicKey, ext: e}
	var schemes []tls.SignatureScheme
	switch cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if e.PSS || e.padsPSS() {
			schemes = append(schemes, tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512)
		}
		if e.PKCS1 || e.NoPadding || !e.PSS {
			schemes = append(schemes, tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return nil, nil, fmt.Errorf("external key: unsupported key type %T", cert.PublicKey)
	}
	if e.Digest {
		return messageSigner{base}, schemes, nil
	}
	return base, schemes, nil
}

// padsPSS reports whether we do the padding of PSS, which stock leaves to the other side or does without: only where the
// other side signs bare blocks.
func (e *External) padsPSS() bool { return e.NoPadding && !e.PSS && !e.Digest }

// onlyPKCS1 reports whether a certificate can sign nothing TLS 1.3 takes.
func onlyPKCS1(pair *tls.Certificate) bool {
	for _, s := range pair.SupportedSignatureAlgorithms {
		if s != tls.PKCS1WithSHA256 && s != tls.PKCS1WithSHA384 && s != tls.PKCS1WithSHA512 {
			return false
		}
	}
	return len(pair.SupportedSignatureAlgorithms) > 0
}

// externalSigner hands digests to the callback.
type externalSigner struct {
	pub crypto.PublicKey
	ext *External
}

func (s externalSigner) Public() crypto.PublicKey { return s.pub }

func (s externalSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	switch pub := s.pub.(type) {
	case ed25519.PublicKey:
		return s.ext.Sign(SignRequest{Algorithm: "ED25519", Data: digest})
	case *ecdsa.PublicKey:
		return s.ext.Sign(SignRequest{Algorithm: "ECDSA", Data: digest})
	case *rsa.PublicKey:
		if _, ok := opts.(*rsa.PSSOptions); ok {
			if !s.ext.padsPSS() {
				return s.ext.Sign(SignRequest{Algorithm: pssName(opts.HashFunc()), Data: digest})
			}
			block, err := padPSS(random, opts.HashFunc(), digest, pub.N.BitLen())
			if err != nil {
				return nil, err
			}
			return s.ext.Sign(SignRequest{Algorithm: "RSA_NO_PADDING", Data: block})
		}
		info, err := digestInfo(opts.HashFunc(), digest)
		if err != nil {
			return nil, err
		}
		if s.ext.NoPadding && !s.ext.PKCS1 {
			block, err := padPKCS1(info, pub.Size())
			if err != nil {
				return nil, err
			}
			return s.ext.Sign(SignRequest{Algorithm: "RSA_NO_PADDING", Data: block})
		}
		return s.ext.Sign(SignRequest{Algorithm: "RSA_PKCS1_PADDING", Data: info})
	default:
		return nil, ErrExternal
	}
}

// messageSigner hands whole messages to the callback: flag digest.
type messageSigner struct{ externalSigner }

// SignMessage implements [crypto.MessageSigner].
func (s messageSigner) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	var name string
	switch s.pub.(type) {
	case ed25519.PublicKey:
		name = "ED25519"
	case *ecdsa.PublicKey:
		name = "ECDSA,hashalg=" + hashName(opts.HashFunc())
	case *rsa.PublicKey:
		name = "RSA_PKCS1_PADDING,hashalg=" + hashName(opts.HashFunc())
		if _, ok := opts.(*rsa.PSSOptions); ok {
			name = pssName(opts.HashFunc())
		}
	default:
		return nil, ErrExternal
	}
	return s.ext.Sign(SignRequest{Algorithm: name + ",data=message", Data: msg})
}

func pssName(h crypto.Hash) string {
	return "RSA_PKCS1_PSS_PADDING,hashalg=" + hashName(h) + ",saltlen=digest"
}

// hashName is the name of a hash without the dash: SHA256.
func hashName(h crypto.Hash) string { return strings.ReplaceAll(h.String(), "-", "") }

// digestPrefix holds the DER in front of the digest in a DigestInfo. RFC 8017, section 9.2, note 1.
var digestPrefix = map[crypto.Hash][]byte{
	crypto.SHA1:   {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

// digestInfo returns the DER structure PKCS#1 v1.5 signs. TLS 1.0's MD5+SHA1 has none: the digest itself.
func digestInfo(h crypto.Hash, digest []byte) ([]byte, error) {
	if h == crypto.MD5SHA1 {
		return digest, nil
	}
	prefix, ok := digestPrefix[h]
	if !ok || len(digest) != h.Size() {
		return nil, fmt.Errorf("external key: cannot sign with %s", h)
	}
	return append(bytes.Clone(prefix), digest...), nil
}

// padPKCS1 returns 00 01 ff … ff 00 | info, as long as the modulus.
func padPKCS1(info []byte, size int) ([]byte, error) {
	if size < len(info)+11 {
		return nil, rsa.ErrMessageTooLong
	}
	block := bytes.Repeat([]byte{0xff}, size)
	block[0], block[1], block[size-len(info)-1] = 0, 1, 0
	copy(block[size-len(info):], info)
	return block, nil
}

// padPSS returns the encoded message of PSS with a salt as long as the hash, for a modulus of bits.
// Rule: RFC 8017, section 9.1.1.
func padPSS(random io.Reader, h crypto.Hash, digest []byte, bits int) ([]byte, error) {
	n, size := h.Size(), (bits+6)/8 // of bits-1
	if size < 2*n+2 {
		return nil, rsa.ErrMessageTooLong
	}
	salt := make([]byte, n)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	hash := h.New()
	hash.Write(make([]byte, 8))
	hash.Write(digest)
	hash.Write(salt)
	sum := hash.Sum(nil)

	block := make([]byte, size)
	db := block[:size-n-1]
	db[len(db)-n-1] = 1
	copy(db[len(db)-n:], salt)
	mask := db
	for i := uint32(0); len(mask) > 0; i++ {
		hash.Reset()
		hash.Write(sum)
		hash.Write(binary.BigEndian.AppendUint32(nil, i))
		mask = mask[subtle.XORBytes(mask, mask, hash.Sum(nil)):]
	}
	db[0] &= 0xff >> (8*size - (bits - 1))
	copy(block[len(db):], sum)
	block[size-1] = 0xbc
	if full := (bits + 7) / 8; full > size {
		block = append(make([]byte, full-size), block...)
	}
	return block, nil
}
