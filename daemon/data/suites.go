package data

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // old peers
	"strings"

	//lint:ignore SA1019 old peers have nothing else
	"golang.org/x/crypto/blowfish"
	//lint:ignore SA1019 old peers have nothing else
	"golang.org/x/crypto/cast5"
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
	// Legacy ciphers are those that OpenSSL keeps in its legacy provider.
	Legacy bool

	chacha bool
	block  func(key []byte) (cipher.Block, error) // nil for AES
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
	{Name: "DES-EDE-CBC", Mode: CBC, KeySize: 16, BlockSize: 8, block: twoKeys},
	{Name: "DES-EDE3-CBC", Mode: CBC, KeySize: 24, BlockSize: 8, block: des.NewTripleDESCipher},
	{Name: "DES-EDE-CFB", Mode: CFB, KeySize: 16, BlockSize: 8, block: twoKeys},
	{Name: "DES-EDE3-CFB", Mode: CFB, KeySize: 24, BlockSize: 8, block: des.NewTripleDESCipher},
	{Name: "DES-EDE-OFB", Mode: OFB, KeySize: 16, BlockSize: 8, block: twoKeys},
	{Name: "DES-EDE3-OFB", Mode: OFB, KeySize: 24, BlockSize: 8, block: des.NewTripleDESCipher},
	{Name: "BF-CBC", Mode: CBC, KeySize: 16, BlockSize: 8, Legacy: true, block: newBlowfish},
	{Name: "CAST5-CBC", Mode: CBC, KeySize: 16, BlockSize: 8, Legacy: true, block: newCAST5},
	{Name: "DES-CBC", Mode: CBC, KeySize: 8, BlockSize: 8, Legacy: true, block: des.NewCipher},
	{Name: "BF-CFB", Mode: CFB, KeySize: 16, BlockSize: 8, Legacy: true, block: newBlowfish},
	{Name: "CAST5-CFB", Mode: CFB, KeySize: 16, BlockSize: 8, Legacy: true, block: newCAST5},
	{Name: "DES-CFB", Mode: CFB, KeySize: 8, BlockSize: 8, Legacy: true, block: des.NewCipher},
	{Name: "BF-OFB", Mode: OFB, KeySize: 16, BlockSize: 8, Legacy: true, block: newBlowfish},
	{Name: "CAST5-OFB", Mode: OFB, KeySize: 16, BlockSize: 8, Legacy: true, block: newCAST5},
	{Name: "DES-OFB", Mode: OFB, KeySize: 8, BlockSize: 8, Legacy: true, block: des.NewCipher},
	{Name: "none", Mode: Plain, BlockSize: 1},
}

func newBlowfish(key []byte) (cipher.Block, error) { return blowfish.NewCipher(key) }

func newCAST5(key []byte) (cipher.Block, error) { return cast5.NewCipher(key) }

// twoKeys is triple DES whose third key is the first one.
func twoKeys(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
}

// cipher makes the block cipher of a suite without AEAD.
func (s *Suite) cipher(key []byte) (cipher.Block, error) {
	if s.block != nil {
		return s.block(key[:s.KeySize])
	}
	return aes.NewCipher(key[:s.KeySize])
}

// ShortBlocks reports whether the cipher's blocks are so short that two of a key's are alike after a few gigabytes.
func (s *Suite) ShortBlocks() bool { return s.BlockSize == 8 }

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
