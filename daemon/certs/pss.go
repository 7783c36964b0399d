package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
)

// mixedPSS checks a signature of PSS whose mask is made with another hash than the message's, which crypto/rsa does not know. digest is the message's.
//
// Rule: RFC 8017, sections 8.1.2 and 9.1.2.
func mixedPSS(pub *rsa.PublicKey, hash, mask crypto.Hash, digest, sig []byte, salt int) bool {
	bits := pub.N.BitLen() - 1
	size := (bits + 7) / 8
	if !mask.Available() || pub.N.BitLen() < 1024 || pub.N.BitLen() > 1<<14 || len(sig) != pub.Size() {
		return false
	}
	s := new(big.Int).SetBytes(sig)
	if s.Cmp(pub.N) >= 0 {
		return false
	}
	s.Exp(s, big.NewInt(int64(pub.E)), pub.N)
	if s.BitLen() > bits || size < hash.Size()+salt+2 {
		return false
	}
	em := s.FillBytes(make([]byte, size))
	db, h := em[:size-hash.Size()-1], em[size-hash.Size()-1:size-1]
	if em[size-1] != 0xbc {
		return false
	}
	xorMask(db, mask, h)
	db[0] &= 0xff >> (8*size - bits)
	pad := len(db) - salt - 1
	if !bytes.Equal(db[:pad], make([]byte, pad)) || db[pad] != 1 {
		return false
	}
	m := hash.New()
	m.Write(make([]byte, 8))
	m.Write(digest)
	m.Write(db[pad+1:])
	return bytes.Equal(m.Sum(nil), h)
}

// xorMask applies the mask that MGF1 makes of seed.
//
// Rule: RFC 8017, appendix B.2.1.
func xorMask(db []byte, hash crypto.Hash, seed []byte) {
	for i := uint32(0); len(db) > 0; i++ {
		h := hash.New()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, i))
		for _, x := range h.Sum(nil) {
			if len(db) == 0 {
				return
			}
			db[0] ^= x
			db = db[1:]
		}
	}
}
