//go:build pkcs11

package tokens

import (
	"context"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"

	"github.com/miekg/pkcs11"
)

// Key is a certificate on a token, with its private key.
type Key struct {
	Cert  []byte // DER
	store *Store
	id    ID
	forms Forms
}

// RSA tells in which forms the token signs with an RSA key.
func (k *Key) RSA() Forms { return k.forms }

// Sign signs data in the form of an algorithm text of the management interface: RSA_PKCS1_PSS_PADDING,hashalg=…,
// RSA_PKCS1_PADDING (a DigestInfo), RSA_NO_PADDING (a whole block), ECDSA (a digest; the answer is DER) or ED25519.
// The token may have been pulled and put back since. pin is asked when the token wants a PIN.
// Errors: ErrNoToken, ErrNoObject, ErrPIN, the PIN's, and the module's.
func (k *Key) Sign(ctx context.Context, data []byte, algorithm string, pin PIN) ([]byte, error) {
	mechanism, err := mechanismOf(algorithm)
	if err != nil {
		return nil, err
	}
	var sig []byte
	err = k.store.find(k.id, func(sl *slot) error {
		if err := k.store.login(ctx, sl, pin); err != nil {
			return err
		}
		_, keys, err := sl.objects([]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, k.id.Object),
		})
		switch {
		case err != nil:
			return fmt.Errorf("find private key: %w", err)
		case len(keys) == 0:
			return ErrNoObject
		}
		if err := sl.SignInit(sl.session, []*pkcs11.Mechanism{mechanism}, keys[0]); err != nil {
			return fmt.Errorf("start %s on the token: %w", algorithm, err)
		}
		if always := k.always(sl, keys[0]); always && !sl.protected {
			text, err := pin(ctx, sl.info.Label)
			if err != nil {
				return err
			}
			if err := sl.Login(sl.session, pkcs11.CKU_CONTEXT_SPECIFIC, text); err != nil {
				return fmt.Errorf("%w: %w", ErrPIN, err)
			}
		}
		if sig, err = sl.Sign(sl.session, data); err != nil {
			return fmt.Errorf("sign on the token: %w", err)
		}
		return nil
	})
	if err == nil && mechanism.Mechanism == pkcs11.CKM_ECDSA {
		return ecdsaDER(sig)
	}
	return sig, err
}

// always reports whether the key wants the PIN for every signature.
func (k *Key) always(sl *slot, key pkcs11.ObjectHandle) bool {
	a, err := sl.GetAttributeValue(sl.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, nil)})
	return err == nil && len(a) == 1 && len(a[0].Value) == 1 && a[0].Value[0] == 1
}

// ckmEdDSA is CKM_EDDSA of PKCS#11 3.0.
const ckmEdDSA = 0x1057

func mechanismOf(algorithm string) (*pkcs11.Mechanism, error) {
	words := strings.Split(algorithm, ",")
	switch words[0] {
	case "ECDSA":
		return pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), nil
	case "ED25519":
		return pkcs11.NewMechanism(ckmEdDSA, nil), nil
	case "RSA_PKCS1_PADDING":
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), nil
	case "RSA_NO_PADDING":
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_X_509, nil), nil
	case "RSA_PKCS1_PSS_PADDING":
		for _, h := range []struct {
			word      string
			hash, mgf uint
			size      uint
		}{
			{"hashalg=SHA256", pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, 32},
			{"hashalg=SHA384", pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, 48},
			{"hashalg=SHA512", pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, 64},
		} {
			if len(words) > 1 && words[1] == h.word {
				return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(h.hash, h.mgf, h.size)), nil
			}
		}
	}
	return nil, fmt.Errorf("no token signs in the form %q", algorithm)
}

// ecdsaDER turns r and s one after the other, as tokens give them, into the DER structure TLS wants.
func ecdsaDER(sig []byte) ([]byte, error) {
	n := len(sig) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
}
