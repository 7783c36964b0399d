package client

import (
	"context"
	"encoding/pem"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
)

// tokenKey puts a smart card in the place of certificate and key. errNoToken means that the certificate could not be had.
func (c *Client) tokenKey(ctx context.Context, o *tlsconf.Options) error {
	if !c.opts.PKCS11.Set() {
		return nil
	}
	text := c.opts.PKCS11.ID
	if c.opts.PKCS11.IDManagement {
		var err error
		if text, err = c.askTokenID(ctx); err != nil {
			return err
		}
	}
	id, err := tokens.ParseID(text)
	if err != nil {
		c.log(logging.Error, "PKCS#11: Cannot deserialize id 19-'CKR_ATTRIBUTE_VALUE_INVALID'")
		return c.noTokenKey(text)
	}
	var key *tokens.Key
	err = c.withToken(ctx, id.Label, func() error {
		var err error
		key, err = c.deps.Tokens.Certificate(ctx, id, c.tokenPIN)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.log(logging.Error, "PKCS#11: Unable get x509 certificate object (%v)", err)
		return c.noTokenKey(text)
	}
	forms := key.RSA()
	o.Cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Cert})
	o.External = &tlsconf.External{
		PSS: forms.PSS, PKCS1: forms.PKCS1, NoPadding: forms.Raw && !forms.PSS,
		Sign: func(r tlsconf.SignRequest) ([]byte, error) {
			a := c.live.Load()
			if a == nil {
				return nil, errors.New("no connection attempt to sign for")
			}
			var sig []byte
			err := c.withToken(a.ctx, id.Label, func() error {
				var err error
				sig, err = key.Sign(a.ctx, r.Data, r.Algorithm, c.tokenPIN)
				return err
			})
			if err != nil && a.ctx.Err() == nil {
				c.log(logging.Error, "PKCS#11: Cannot perform signature: %v", err)
			}
			return sig, err
		},
	}
	return nil
}

func (c *Client) noTokenKey(id string) error {
	c.log(logging.Error, "Cannot load certificate \"%s\" using PKCS#11 interface", id)
	return errNoToken
}

// askTokenID asks which certificate to use.
func (c *Client) askTokenID(ctx context.Context) (string, error) {
	if !c.port.Reachable() {
		return c.console(ctx, "Enter pkcs11-id-request:", true)
	}
	return c.port.NeedStr(ctx, "pkcs11-id-request", "Please specify PKCS#11 id to use")
}

// withToken runs f, again each time a person confirms that the missing token is inserted.
func (c *Client) withToken(ctx context.Context, label string, f func() error) error {
	for {
		err := f()
		if !errors.Is(err, tokens.ErrNoToken) || !c.port.Reachable() {
			return err
		}
		ok, askErr := c.port.NeedOK(ctx, "token-insertion-request", "Please insert "+label+" token")
		if askErr != nil {
			return askErr
		}
		if !ok {
			return err
		}
	}
}

// tokenPIN asks for the PIN of a token.
func (c *Client) tokenPIN(ctx context.Context, label string) (string, error) {
	if c.opts.ManagementQueryPasswords && c.port.Reachable() {
		return c.port.AskPassword(ctx, label+" token")
	}
	return c.console(ctx, "Enter "+label+" token Password:", false)
}
