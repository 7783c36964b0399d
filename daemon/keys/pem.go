package keys

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"

	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
)

// PEM block names of the key files.
const (
	pemV2Server  = "OpenVPN tls-crypt-v2 server key"
	pemV2Client  = "OpenVPN tls-crypt-v2 client key"
	pemAuthToken = "OpenVPN auth-token server key"
)

// serverKeySize is the size of the two keys only servers have, in bytes.
const serverKeySize = 128

// WrapKey is a tls-crypt-v2 server key: it wraps and unwraps client keys.
type WrapKey [serverKeySize]byte

func (k *WrapKey) cipher() []byte { return k[0:32] }
func (k *WrapKey) hmac() []byte   { return k[64:96] }

// LogValue hides the key.
func (k WrapKey) LogValue() slog.Value { return redactedValue }

// String hides the key from fmt.
func (k WrapKey) String() string { return redacted }

// GoString hides the key from %#v.
func (k WrapKey) GoString() string { return redacted }

// Format is the text of a tls-crypt-v2 server key file.
func (k *WrapKey) Format() []byte { return formatPEM(pemV2Server, k[:]) }

// GenerateWrapKey reads a fresh tls-crypt-v2 server key from rand.
func GenerateWrapKey(rand io.Reader) (*WrapKey, error) {
	var k WrapKey
	if _, err := io.ReadFull(rand, k[:]); err != nil {
		return nil, fmt.Errorf("generate tls-crypt-v2 server key: %w", err)
	}
	return &k, nil
}

// ParseWrapKey reads a tls-crypt-v2 server key file. Errors: ErrNoKey, ErrKeySize.
func ParseWrapKey(text []byte) (*WrapKey, error) {
	b, err := parsePEM(pemV2Server, text)
	if err != nil {
		return nil, err
	}
	if len(b) != serverKeySize {
		return nil, ErrKeySize
	}
	return (*WrapKey)(b), nil
}

// ClientKey is the content of a tls-crypt-v2 client key file.
type ClientKey struct {
	Key StaticKey // Kc, used like a tls-crypt key
	WKc []byte    // Kc and metadata, wrapped for the server
}

// LogValue hides the key.
func (k ClientKey) LogValue() slog.Value { return redactedValue }

// String hides the key from fmt.
func (k ClientKey) String() string { return redacted }

// GoString hides the key from %#v.
func (k ClientKey) GoString() string { return redacted }

// Format is the text of a tls-crypt-v2 client key file.
func (k *ClientKey) Format() []byte {
	return formatPEM(pemV2Client, append(k.Key[:len(k.Key):len(k.Key)], k.WKc...))
}

// ParseClientKey reads a tls-crypt-v2 client key file. The length the WKc states must be the one it has. Errors:
// ErrNoKey, ErrKeySize, ErrWeakKey.
func ParseClientKey(text []byte) (*ClientKey, error) {
	b, err := parsePEM(pemV2Client, text)
	if err != nil {
		return nil, err
	}
	if len(b) < StaticKeySize {
		return nil, ErrKeySize
	}
	rest, wkc, err := SplitWKc(b[StaticKeySize:])
	if err != nil || len(rest) != 0 {
		return nil, ErrKeySize
	}
	ck := &ClientKey{Key: StaticKey(b[:StaticKeySize]), WKc: bytes.Clone(wkc)}
	if err := ck.Key.CheckCipher(); err != nil {
		return nil, err
	}
	return ck, nil
}

// TokenKey is the server key of auth-tokens.
type TokenKey [serverKeySize]byte

func (k *TokenKey) hmac() []byte { return k[64:96] }

// LogValue hides the key.
func (k TokenKey) LogValue() slog.Value { return redactedValue }

// String hides the key from fmt.
func (k TokenKey) String() string { return redacted }

// GoString hides the key from %#v.
func (k TokenKey) GoString() string { return redacted }

// Format is the text of an auth-token key file.
func (k *TokenKey) Format() []byte { return formatPEM(pemAuthToken, k[:]) }

// GenerateTokenKey reads a fresh auth-token key from rand.
func GenerateTokenKey(rand io.Reader) (*TokenKey, error) {
	var k TokenKey
	if _, err := io.ReadFull(rand, k[:]); err != nil {
		return nil, fmt.Errorf("generate auth-token key: %w", err)
	}
	return &k, nil
}

// ParseTokenKey reads an auth-token key file. Errors: ErrNoKey, ErrKeySize.
func ParseTokenKey(text []byte) (*TokenKey, error) {
	b, err := parsePEM(pemAuthToken, text)
	if err != nil {
		return nil, err
	}
	if len(b) != serverKeySize {
		return nil, ErrKeySize
	}
	return (*TokenKey)(b), nil
}

// parsePEM finds the first block called name. Other blocks may precede it: key files are often bundles.
func parsePEM(name string, text []byte) ([]byte, error) {
	b := pemtext.First(text, func(label string) bool { return label == name })
	if b == nil {
		return nil, ErrNoKey
	}
	return b.Bytes, nil
}

func formatPEM(name string, b []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: name, Bytes: b})
}
