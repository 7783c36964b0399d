package keys

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"errors"
	"hash"
	"log/slog"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// ErrZeroKey is returned for key material whose cipher part is all zero.
var ErrZeroKey = errors.New("keys: derived cipher key is all zero")

// BlockSize is the size of a data channel key block, in bytes.
const BlockSize = 256

// Labels of the TLS exporter. The context is nil, not empty.
const (
	LabelDataKeys        = "EXPORTER-OpenVPN-datakeys"          // 256 bytes, per key id
	LabelDynamicTLSCrypt = "EXPORTER-OpenVPN-dynamic-tls-crypt" // 256 bytes, once, from key id 0
	LabelPeerID          = "EXPORTER-OpenVPN-p2p-peerid"        // 3 bytes, peer to peer
)

// Labels of the PRF, without NUL.
const (
	labelMaster    = "OpenVPN master secret"
	labelExpansion = "OpenVPN key expansion"
)

// Block is the key material of one data channel key: client half | server half, each cipher 64 | hmac 64. A half is
// what that side sends with.
type Block [BlockSize]byte

// Cipher is the 64-byte cipher part the sender encrypts with. It aliases b.
func (b *Block) Cipher(sender Role) []byte { return (*StaticKey)(b).Cipher(int(sender)) }

// HMAC is the 64-byte HMAC part of the sender: the HMAC key, or the implicit IV of the AEAD ciphers. It aliases b.
func (b *Block) HMAC(sender Role) []byte { return (*StaticKey)(b).HMAC(int(sender)) }

// Wipe overwrites the material.
func (b *Block) Wipe() { clear(b[:]) }

// LogValue hides the material.
func (b Block) LogValue() slog.Value { return redactedValue }

// String hides the material from fmt.
func (b Block) String() string { return redacted }

// GoString hides the material from %#v.
func (b Block) GoString() string { return redacted }

// NewBlock takes material from the TLS exporter (LabelDataKeys). Errors: ErrKeySize, ErrZeroKey.
func NewBlock(material []byte) (*Block, error) {
	if len(material) != BlockSize {
		return nil, ErrKeySize
	}
	b := Block(material)
	if err := b.check(); err != nil {
		return nil, err
	}
	return &b, nil
}

// DeriveBlock makes the key block from both key messages by the PRF, for peers without the TLS exporter. The session
// ids are those of the control channel.
//
//	master = PRF(pre_master, "OpenVPN master secret" | client.random1 | server.random1, 48)
//	block  = PRF(master, "OpenVPN key expansion" | client.random2 | server.random2 | client id | server id, 256)
//
// Rule: docs/protocol.md#37-data-channel-key-block.
func DeriveBlock(client, server *Message, clientID, serverID wire.SessionID) (*Block, error) {
	var master [48]byte
	defer clear(master[:])
	prf(master[:], client.PreMaster[:], []byte(labelMaster), client.Random1[:], server.Random1[:])
	var b Block
	prf(b[:], master[:], []byte(labelExpansion), client.Random2[:], server.Random2[:], clientID[:], serverID[:])
	if err := b.check(); err != nil {
		return nil, err
	}
	return &b, nil
}

func (b *Block) check() error {
	var zero [partSize]byte
	bad := subtle.ConstantTimeCompare(b.Cipher(Client), zero[:]) | subtle.ConstantTimeCompare(b.Cipher(Server), zero[:])
	if bad != 0 {
		return ErrZeroKey
	}
	return nil
}

// prf fills out by the PRF of TLS 1.0: P_MD5 over the first half of secret XOR P_SHA1 over the second. Secrets here
// are 48 bytes, so that the halves are equal.
func prf(out, secret []byte, seed ...[]byte) {
	half := len(secret) / 2
	clear(out)
	expand(out, md5.New, secret[:half], seed)
	expand(out, sha1.New, secret[half:], seed)
}

// expand XORs P_hash(secret, seed) over out: A(0) = seed, A(i) = HMAC(A(i-1)), output HMAC(A(i) | seed) ….
func expand(out []byte, h func() hash.Hash, secret []byte, seed [][]byte) {
	mac := hmac.New(h, secret)
	writeSeed := func() {
		for _, s := range seed {
			mac.Write(s)
		}
	}
	writeSeed()
	a := mac.Sum(nil)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(a)
		writeSeed()
		n := subtle.XORBytes(out, out, mac.Sum(nil))
		out = out[n:]
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
}
