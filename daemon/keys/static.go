package keys

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Errors of the key file parsers.
var (
	ErrNoKey   = errors.New("keys: no key found between BEGIN and END lines")
	ErrKeySize = errors.New("keys: key has the wrong size")
	ErrKeyText = errors.New("keys: key text is malformed")
)

// Sizes of static keys, in bytes.
const (
	StaticKeySize = 256
	halfSize      = 128
	partSize      = 64 // cipher or HMAC part of a half
	cipherKeySize = 32 // what AES-256 takes of a cipher part
)

const (
	staticBegin = "-----BEGIN OpenVPN Static key V1-----"
	staticEnd   = "-----END OpenVPN Static key V1-----"
)

// StaticKey is a pre-shared key, also the client key Kc of tls-crypt-v2 and the key of dynamic tls-crypt.
type StaticKey [StaticKeySize]byte

// Cipher is the 64-byte cipher part of half 0 or 1. It aliases k.
func (k *StaticKey) Cipher(half int) []byte {
	return k[half*halfSize : half*halfSize+partSize : half*halfSize+partSize]
}

// HMAC is the 64-byte HMAC part of half 0 or 1. It aliases k.
func (k *StaticKey) HMAC(half int) []byte {
	end := (half + 1) * halfSize
	return k[half*halfSize+partSize : end : end]
}

// XOR is the combination of k and other that dynamic tls-crypt uses.
func (k *StaticKey) XOR(other *StaticKey) *StaticKey {
	var out StaticKey
	subtle.XORBytes(out[:], k[:], other[:])
	return &out
}

// LogValue hides the key.
func (k StaticKey) LogValue() slog.Value { return redactedValue }

// String hides the key from fmt.
func (k StaticKey) String() string { return redacted }

// GoString hides the key from %#v.
func (k StaticKey) GoString() string { return redacted }

// GenerateStaticKey reads a fresh key from rand.
func GenerateStaticKey(rand io.Reader) (*StaticKey, error) {
	var k StaticKey
	if _, err := io.ReadFull(rand, k[:]); err != nil {
		return nil, fmt.Errorf("generate static key: %w", err)
	}
	return &k, nil
}

// ParseStaticKey reads a static key file: 512 hexadecimal digits between the lines BEGIN and END, split by any white space.
// Text outside, on the line of BEGIN, and behind the last digit is ignored. It returns ErrNoKey without both lines, ErrKeyText
// for anything but digits before the last and ErrKeySize for too few of them. text is not kept.
//
// Rule: docs/protocol.md#27-static-key-file-and-key-halves.
func ParseStaticKey(text []byte) (*StaticKey, error) {
	_, body, ok := bytes.Cut(text, []byte(staticBegin))
	if !ok {
		return nil, ErrNoKey
	}
	body, _, ok = bytes.Cut(body, []byte(staticEnd))
	if !ok {
		return nil, ErrNoKey
	}
	if rest, remark := cutRemark(body); remark {
		body = rest
	}
	var digits [2 * StaticKeySize]byte
	n := 0
	for _, c := range body {
		switch c {
		case ' ', '\t', '\r', '\n', '\v', '\f':
			continue
		}
		if n == len(digits) {
			break
		}
		digits[n] = c
		n++
	}
	var k StaticKey
	if _, err := hex.Decode(k[:], digits[:n&^1]); err != nil {
		return nil, ErrKeyText
	}
	if n != len(digits) {
		return nil, ErrKeySize
	}
	return &k, nil
}

// cutRemark cuts off what stands behind BEGIN on its line, unless there are no other lines.
func cutRemark(body []byte) (rest []byte, ok bool) {
	_, rest, ok = bytes.Cut(body, []byte("\n"))
	return rest, ok && len(bytes.TrimSpace(rest)) > 0
}

// ErrWeakKey means a key of zeros, which hides nothing.
var ErrWeakKey = errors.New("the cipher part of a key is zero: make a new one with genkey")

// CheckCipher refuses a key that encrypts with zeros in either direction.
func (k *StaticKey) CheckCipher() error {
	for half := range 2 {
		if [cipherKeySize]byte(k.Cipher(half)) == [cipherKeySize]byte{} {
			return ErrWeakKey
		}
	}
	return nil
}

// Format is the text of a static key file as stock writes it: three comment lines and 16 lines of 32 digits, 636
// bytes.
func (k *StaticKey) Format() []byte {
	var b bytes.Buffer
	b.WriteString("#\n# 2048 bit OpenVPN static key\n#\n" + staticBegin + "\n")
	for i := 0; i < len(k); i += 16 {
		b.WriteString(hex.EncodeToString(k[i : i+16]))
		b.WriteByte('\n')
	}
	b.WriteString(staticEnd + "\n")
	return b.Bytes()
}

// Direction is the key-direction option of tls-auth and static-key mode.
type Direction uint8

// The key directions. Usually the server has 0 and the client 1.
const (
	Bidirectional Direction = iota // no direction given: half 0 both ways
	Direction0                     // sends with half 0, receives with half 1
	Direction1                     // sends with half 1, receives with half 0
)

// Send is the half to send with.
func (d Direction) Send() int {
	if d == Direction1 {
		return 1
	}
	return 0
}

// Receive is the half the peer sends with.
func (d Direction) Receive() int {
	if d == Direction0 {
		return 1
	}
	return 0
}

// WrapHalf is the half a role sends with under tls-crypt in all its forms.
func WrapHalf(sender Role) int {
	if sender == Server {
		return 0
	}
	return 1
}
