package data

import (
	"crypto/aes"
	"crypto/cipher"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Mode says how a cipher is used on the wire.
type Mode uint8

// Modes.
const (
	AEAD Mode = iota
	CBC
	CFB
	OFB
	Plain // cipher none
)

// Suite is one data channel cipher. Sizes are in bytes.
type Suite struct {
	Name      string // OpenSSL's name; "none" for Plain
	Mode      Mode
	KeySize   int
	BlockSize int // of the cipher, 1 for stream-like ones
	chacha    bool
}

// KeyBits is the key size in bits.
func (s *Suite) KeyBits() int { return 8 * s.KeySize }

var suites = [...]Suite{
	{Name: "AES-128-GCM", Mode: AEAD, KeySize: 16, BlockSize: 16},
	{Name: "AES-192-GCM", Mode: AEAD, KeySize: 24, BlockSize: 16},
	{Name: "AES-256-GCM", Mode: AEAD, KeySize: 32, BlockSize: 16},
	{Name: "CHACHA20-POLY1305", Mode: AEAD, KeySize: 32, BlockSize: 1, chacha: true},
	{Name: "AES-128-CBC", Mode: CBC, KeySize: 16, BlockSize: 16},
	{Name: "AES-192-CBC", Mode: CBC, KeySize: 24, BlockSize: 16},
	{Name: "AES-256-CBC", Mode: CBC, KeySize: 32, BlockSize: 16},
	{Name: "AES-128-CFB", Mode: CFB, KeySize: 16, BlockSize: 16},
	{Name: "AES-192-CFB", Mode: CFB, KeySize: 24, BlockSize: 16},
	{Name: "AES-256-CFB", Mode: CFB, KeySize: 32, BlockSize: 16},
	{Name: "AES-128-OFB", Mode: OFB, KeySize: 16, BlockSize: 16},
	{Name: "AES-192-OFB", Mode: OFB, KeySize: 24, BlockSize: 16},
	{Name: "AES-256-OFB", Mode: OFB, KeySize: 32, BlockSize: 16},
	{Name: "none", Mode: Plain, BlockSize: 1},
}

// Ciphers returns every data channel cipher, AEAD first, "none" last. The slice is the caller's.
func Ciphers() []Suite { return append([]Suite(nil), suites[:]...) }

// Lookup finds a cipher by name, whatever its case.
func Lookup(name string) (*Suite, bool) {
	for i := range suites {
		if strings.EqualFold(suites[i].Name, name) {
			return &suites[i], true
		}
	}
	return nil, false
}

// aead builds the AEAD of the suite from the first KeySize bytes of key.
func (s *Suite) aead(key []byte) (cipher.AEAD, error) {
	if s.chacha {
		return chacha20poly1305.New(key[:s.KeySize])
	}
	b, err := aes.NewCipher(key[:s.KeySize])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// parseDigest finds the digest of the auth option: "" is the default SHA1, and a nil digest stands for "none".
func parseDigest(name string) (*keys.Digest, error) {
	switch {
	case strings.EqualFold(name, "none"):
		return nil, nil
	case name == "":
		name = "SHA1"
	}
	d, err := keys.ParseDigest(name)
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// digestSize is the bytes d adds to a packet.
func digestSize(d *keys.Digest) int {
	if d == nil {
		return 0
	}
	return d.Size
}
