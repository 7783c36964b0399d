package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
)

// identity is our certificate and key, and what we check those of the peer with: from files, from a smart card, or from the
// management port.
type identity struct {
	*questions
	cards      *tokens.Store                  // nil without any
	queryToken bool                           // ask the port for a key file that is not there
	signing    func() (context.Context, bool) // of the connection that a signature is for
	conf       *tlsconf.Config                // nil: not loaded. Kept over restarts with persist-key, else read for each attempt
}

// load reads certificates and keys, and asks for what is needed to open them.
func (d *identity) load(ctx context.Context) error {
	if err := d.waitForToken(ctx); err != nil {
		return err
	}
	o, err := d.tlsOptions(ctx)
	if err != nil {
		return err
	}
	conf, err := tlsconf.Build(*o)
	switch {
	case err == nil:
	case errors.Is(err, tlsconf.ErrPassphrase):
		return err
	case d.opts.PKCS12.Set():
		return fmt.Errorf("Error reading PKCS#12 file %s: %w", d.opts.PKCS12, err) //nolint:staticcheck // the line scripts know
	case strings.Contains(err.Error(), "private key") || strings.HasPrefix(err.Error(), "key:"):
		return fmt.Errorf("Cannot load private key file %s: %w", d.opts.Key, err) //nolint:staticcheck // the line scripts know
	default:
		return err
	}
	d.secrets.on(func(s *credentials.Set) { s.KeyLoaded(d.opts.AuthNocache) })
	for _, n := range conf.Notes() {
		d.log(logging.Warn, "%s", n)
	}
	d.conf = conf
	return nil
}

// errNothingToSign refuses a signature between two connections.
var errNothingToSign = errors.New("no connection attempt to sign for")

// errNoToken is the error for a key on a token that is still missing after the prompt was declined.
var errNoToken = errors.New("private key not there")

// waitForToken asks for a certificate or key file that is not there yet (management-query-token).
func (d *identity) waitForToken(ctx context.Context) error {
	if !d.port.Reachable() || !d.queryToken {
		return nil
	}
	for _, src := range []config.Source{d.opts.PKCS12, d.opts.Cert, d.opts.Key} {
		for src.Path != "" {
			if _, err := os.Stat(src.Path); !errors.Is(err, os.ErrNotExist) {
				break
			}
			ok, err := d.port.NeedOK(ctx, "token-insertion-request", "Please insert "+src.Path+" token")
			if err != nil {
				return err
			}
			if !ok {
				return errNoToken
			}
		}
	}
	return nil
}

func (d *identity) tlsOptions(ctx context.Context) (*tlsconf.Options, error) {
	o, err := material.TLSOptions(d.opts)
	if err != nil {
		return nil, err
	}
	o.Passphrase = func() (string, error) {
		pass, err := d.passphrase(ctx)
		if err == nil && !d.opts.AuthNocache {
			d.warnCaching()
		}
		return pass, err
	}
	if err := d.external(ctx, &o); err != nil {
		return nil, err
	}
	return &o, d.tokenKey(ctx, &o)
}

// external puts the management port in the place of a key, and of a certificate.
func (d *identity) external(ctx context.Context, o *tlsconf.Options) error {
	if !d.port.Reachable() {
		return nil
	}
	if hint := d.opts.ManagementExternalCert; hint != "" {
		pem, err := d.port.AskCertificate(ctx, hint)
		if err != nil {
			return err
		}
		o.Cert = []byte(pem)
	}
	if !d.opts.ManagementExternalKey {
		return nil
	}
	o.External = &tlsconf.External{Sign: func(r tlsconf.SignRequest) ([]byte, error) {
		ctx, ok := d.signing()
		if !ok {
			return nil, errNothingToSign
		}
		return d.port.Sign(ctx, r.Data, r.Algorithm)
	}}
	for _, flag := range d.opts.ManagementExternalKeyFlags {
		switch flag {
		case "nopadding":
			o.External.NoPadding = true
		case "pkcs1":
			o.External.PKCS1 = true
		case "pss":
			o.External.PSS = true
		case "digest":
			o.External.Digest = true
		}
	}
	return nil
}
