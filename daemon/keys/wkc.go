package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Errors of wrapped client keys.
var (
	ErrWKc      = errors.New("keys: wrapped client key is malformed or not ours")
	ErrMetadata = errors.New("keys: metadata of a wrapped client key is malformed or too long")
)

// Sizes around the wrapped client key, in bytes.
const (
	MaxWKc         = 1024
	MaxMetadata    = MaxWKc - minWKc // 734, the type byte included
	minWKc         = wkcTagSize + StaticKeySize + wkcLenSize
	wkcTagSize     = sha256.Size
	wkcLenSize     = 2
	timeMetaLength = 9
)

// Metadata types, the first byte of the metadata.
const (
	MetadataUser byte = 0 // free form
	MetadataTime byte = 1 // u64 Unix time of creation
)

// UserMetadata is the metadata for free-form data of up to 733 bytes.
func UserMetadata(data []byte) ([]byte, error) {
	if len(data) > MaxMetadata-1 {
		return nil, ErrMetadata
	}
	return append([]byte{MetadataUser}, data...), nil
}

// TimeMetadata is the metadata stock writes when none is given: the time of creation.
func TimeMetadata(t time.Time) []byte {
	return binary.BigEndian.AppendUint64([]byte{MetadataTime}, uint64(t.Unix()))
}

// MetadataCreation is the time of creation in metadata of MetadataTime; ok is false for any other metadata.
func MetadataCreation(metadata []byte) (t time.Time, ok bool) {
	if len(metadata) != timeMetaLength || metadata[0] != MetadataTime {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(metadata[1:])), 0), true
}

// Wrap makes the wrapped client key that a client with key kc appends to its first packets.
//
//	WKc = T (32) | AES-256-CTR(Ke, IV = T[0:16], Kc (256) | metadata) | len u16
//	T   = HMAC-SHA256(Ka, len | Kc | metadata)
//	len = length of the whole WKc, T and len included
//
// Rule: docs/protocol.md#25-tls-crypt-v2-keys. It returns ErrMetadata above MaxMetadata bytes.
func (k *WrapKey) Wrap(kc *StaticKey, metadata []byte) ([]byte, error) {
	if len(metadata) > MaxMetadata {
		return nil, ErrMetadata
	}
	size := minWKc + len(metadata)
	wkc := make([]byte, wkcTagSize, size)
	wkc = append(wkc, kc[:]...)
	wkc = append(wkc, metadata...)
	wkc = binary.BigEndian.AppendUint16(wkc, uint16(size))
	secret := wkc[wkcTagSize : size-wkcLenSize]
	copy(wkc, k.wkcTag(wkc[size-wkcLenSize:], secret))
	k.wkcCrypt(wkc[:wkcTagSize], secret)
	return wkc, nil
}

// SplitWKc cuts the wrapped client key off the end of a packet by the length in its last two bytes. rest and wkc
// alias b. It returns ErrWKc for a length outside 290..1024 or beyond b.
func SplitWKc(b []byte) (rest, wkc []byte, err error) {
	if len(b) < minWKc {
		return nil, nil, ErrWKc
	}
	n := int(binary.BigEndian.Uint16(b[len(b)-wkcLenSize:]))
	if n < minWKc || n > MaxWKc || n > len(b) {
		return nil, nil, ErrWKc
	}
	cut := len(b) - n
	return b[:cut:cut], b[cut:], nil
}

// Unwrap recovers the client key and the metadata from wkc, which is left as it is. It returns ErrWKc, the same for
// a wrong length and a wrong tag.
func (k *WrapKey) Unwrap(wkc []byte) (kc *StaticKey, metadata []byte, err error) {
	rest, wkc, err := SplitWKc(wkc)
	if err != nil || len(rest) != 0 {
		return nil, nil, ErrWKc
	}
	tag := wkc[:wkcTagSize]
	secret := append([]byte(nil), wkc[wkcTagSize:len(wkc)-wkcLenSize]...)
	k.wkcCrypt(tag, secret)
	if !hmac.Equal(tag, k.wkcTag(wkc[len(wkc)-wkcLenSize:], secret)) {
		clear(secret)
		return nil, nil, ErrWKc
	}
	kc = new(StaticKey)
	copy(kc[:], secret)
	clear(secret[:StaticKeySize])
	return kc, secret[StaticKeySize:], nil
}

func (k *WrapKey) wkcTag(length, secret []byte) []byte {
	mac := hmac.New(sha256.New, k.hmac())
	mac.Write(length)
	mac.Write(secret)
	return mac.Sum(nil)
}

// wkcCrypt applies the key stream in place, which both encrypts and decrypts.
func (k *WrapKey) wkcCrypt(tag, b []byte) {
	block, err := aes.NewCipher(k.cipher())
	if err != nil {
		panic(err) // 32 bytes is a size AES has
	}
	cipher.NewCTR(block, tag[:aes.BlockSize]).XORKeyStream(b, b)
}
