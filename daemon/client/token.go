package client

import (
	"context"
	"encoding/pem"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
)

// tokenKey puts a smart card in the place of certificate and key. errNoToken means that there is no certificate.
func (d *identity) tokenKey(ctx context.Context, o *tlsconf.Options) error {
	if !d.opts.PKCS11.Set() {
		return nil
	}
	text := d.opts.PKCS11.ID
	if d.opts.PKCS11.IDManagement {
		var err error
		if text, err = d.askTokenID(ctx); err != nil {
			return err
		}
	}
	id, err := tokens.ParseID(text)
	if err != nil {
		d.log(logging.Error, "PKCS#11: Cannot deserialize id 19-'CKR_ATTRIBUTE_VALUE_INVALID'")
		return d.noTokenKey(text)
	}
	var key *tokens.Key
	err = d.withToken(ctx, id.Label, func() error {
		var err error
		key, err = d.cards.Certificate(ctx, id, d.tokenPIN)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		d.log(logging.Error, "PKCS#11: Unable get x509 certificate object (%v)", err)
		return d.noTokenKey(text)
	}
	forms := key.RSA()
	o.Cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Cert})
	o.External = &tlsconf.External{
		PSS: forms.PSS, PKCS1: forms.PKCS1, NoPadding: forms.Raw && !forms.PSS,
		Sign: func(r tlsconf.SignRequest) ([]byte, error) {
			ctx, ok := d.signing()
			if !ok {
				return nil, errNothingToSign
			}
			var sig []byte
			err := d.withToken(ctx, id.Label, func() error {
				var err error
				sig, err = key.Sign(ctx, r.Data, r.Algorithm, d.tokenPIN)
				return err
			})
			if err != nil && ctx.Err() == nil {
				d.log(logging.Error, "PKCS#11: Cannot perform signature: %v", err)
			}
			return sig, err
		},
	}
	return nil
}

func (d *identity) noTokenKey(id string) error {
	d.log(logging.Error, "Cannot load certificate \"%s\" using PKCS#11 interface", id)
	return errNoToken
}

// askTokenID asks which certificate to use.
func (d *identity) askTokenID(ctx context.Context) (string, error) {
	if !d.port.Reachable() {
		return d.console(ctx, "Enter pkcs11-id-request:", true)
	}
	return d.port.NeedStr(ctx, "pkcs11-id-request", "Please specify PKCS#11 id to use")
}

// withToken runs f, again each time a person confirms that the missing token is inserted.
func (d *identity) withToken(ctx context.Context, label string, f func() error) error {
	for {
		err := f()
		if !errors.Is(err, tokens.ErrNoToken) || !d.port.Reachable() {
			return err
		}
		ok, askErr := d.port.NeedOK(ctx, "token-insertion-request", "Please insert "+label+" token")
		if askErr != nil {
			return askErr
		}
		if !ok {
			return err
		}
	}
}

// tokenPIN asks for the PIN of a token.
func (d *identity) tokenPIN(ctx context.Context, label string) (string, error) {
	if d.opts.ManagementQueryPasswords && d.port.Reachable() {
		return d.port.AskPassword(ctx, label+" token")
	}
	return d.console(ctx, "Enter "+label+" token Password:", false)
}
