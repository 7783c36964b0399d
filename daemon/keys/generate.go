package keys

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Kinds of key files.
const (
	KindSecret   = "secret"
	KindTLSAuth  = "tls-auth"  // another name of secret
	KindTLSCrypt = "tls-crypt" // another name of secret
	KindV2Server = "tls-crypt-v2-server"
	KindV2Client = "tls-crypt-v2-client"
	KindToken    = "auth-token"
)

// ErrServerKey means that a client key was asked for without the server key that wraps it.
var ErrServerKey = errors.New("a tls-crypt-v2 client key needs the server's key")

// Generate makes the text of a key file of a kind, "" for a static key, from rand. The rest is for client keys of tls-crypt-v2:
// the server's key, and metadata, which is the time when it is nil.
func Generate(rand io.Reader, now time.Time, kind string, server *WrapKey, metadata []byte) ([]byte, error) {
	switch kind {
	case "", KindSecret, KindTLSAuth, KindTLSCrypt:
		return formatted(GenerateStaticKey(rand))
	case KindV2Server:
		return formatted(GenerateWrapKey(rand))
	case KindToken:
		return formatted(GenerateTokenKey(rand))
	case KindV2Client:
		return clientKey(rand, now, server, metadata)
	}
	return nil, fmt.Errorf("unknown key type %s", kind)
}

func formatted(key interface{ Format() []byte }, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return key.Format(), nil
}

func clientKey(rand io.Reader, now time.Time, server *WrapKey, metadata []byte) ([]byte, error) {
	if server == nil {
		return nil, ErrServerKey
	}
	packed := TimeMetadata(now)
	if metadata != nil {
		var err error
		if packed, err = UserMetadata(metadata); err != nil {
			return nil, err
		}
	}
	kc, err := GenerateStaticKey(rand)
	if err != nil {
		return nil, err
	}
	wkc, err := server.Wrap(kc, packed)
	if err != nil {
		return nil, err
	}
	k := ClientKey{Key: *kc, WKc: wkc}
	return k.Format(), nil
}
