package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Config says which modules to use and how.
type Config struct {
	Providers []string // paths of modules
	// Protected and CertPrivate are of the provider with the same index; missing ones are false.
	Protected   []bool // the PIN is typed on the token's own keys: option pkcs11-protected-authentication
	CertPrivate []bool // certificates are seen only after the PIN: option pkcs11-cert-private
	PINCache    time.Duration
	Log         logging.Func
}

// PIN asks for the PIN of the token with a label.
type PIN func(ctx context.Context, label string) (string, error)

// Identity is a certificate that can be used.
type Identity struct {
	ID   ID
	Cert []byte // DER
}

// Errors of finding and using keys.
var (
	ErrUnsupported = errors.New("built without PKCS#11, use a build with the tag pkcs11 or --management-external-key")
	ErrNoToken     = errors.New("the token is not there")
	ErrNoObject    = errors.New("no such certificate or key on the token")
	ErrPIN         = errors.New("the token refused the PIN")
)

// Forms of RSA signatures a key has; see [Key.RSA].
type Forms struct {
	PSS, PKCS1 bool // with padding by the token
	Raw        bool // of whole blocks
}
