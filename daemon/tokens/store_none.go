//go:build !pkcs11

package tokens

import "context"

// Supported tells whether this build can load modules.
const Supported = false

// Store is the tokens behind the modules of a configuration. There is none in this build.
type Store struct{}

// Key is a certificate on a token, with its private key. There is none in this build.
type Key struct{ Cert []byte }

// Open fails with ErrUnsupported.
func Open(Config) (*Store, error) { return nil, ErrUnsupported }

// Identities lists nothing.
func (s *Store) Identities() []Identity { return nil }

// Certificate fails with ErrUnsupported.
func (s *Store) Certificate(context.Context, ID, PIN) (*Key, error) { return nil, ErrUnsupported }

// Close does nothing.
func (s *Store) Close() {}

// RSA tells no form.
func (k *Key) RSA() Forms { return Forms{} }

// Sign fails with ErrUnsupported.
func (k *Key) Sign(context.Context, []byte, string, PIN) ([]byte, error) { return nil, ErrUnsupported }
