package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt"
)

// tlsMaterial is the content of a configuration's key and certificate files: kept over restarts with persist-key, else read for each attempt.
type tlsMaterial struct{ conf *tlsconf.Config }

// loadTLS reads certificates and keys, and asks for what is needed to open them.
func (c *Client) loadTLS(ctx context.Context, _ *config.Connection) (*tlsMaterial, error) {
	if err := c.waitForToken(ctx); err != nil {
		return nil, err
	}
	o, err := c.tlsOptions(ctx)
	if err != nil {
		return nil, err
	}
	conf, err := tlsconf.Build(*o)
	switch {
	case err == nil:
	case errors.Is(err, tlsconf.ErrPassphrase):
		return nil, err
	case c.opts.PKCS12.Set():
		return nil, fmt.Errorf("Error reading PKCS#12 file %s: %w", c.opts.PKCS12, err) //nolint:staticcheck // the line scripts know
	case strings.Contains(err.Error(), "private key") || strings.HasPrefix(err.Error(), "key:"):
		return nil, fmt.Errorf("Cannot load private key file %s: %w", c.opts.Key, err) //nolint:staticcheck // the line scripts know
	default:
		return nil, err
	}
	c.secrets.on(func(s *credentials.Set) { s.KeyLoaded(c.opts.AuthNocache) })
	for _, n := range conf.Notes() {
		c.log(logging.Warn, "%s", n)
	}
	return &tlsMaterial{conf}, nil
}

// errNoToken is the error for a key on a token that is still missing after the prompt was declined.
var errNoToken = errors.New("private key not there")

// waitForToken asks for a certificate or key file that is not there yet (management-query-token).
func (c *Client) waitForToken(ctx context.Context) error {
	if !c.port.Reachable() || !c.deps.QueryToken {
		return nil
	}
	for _, src := range []config.Source{c.opts.PKCS12, c.opts.Cert, c.opts.Key} {
		for src.Path != "" {
			if _, err := os.Stat(src.Path); !errors.Is(err, os.ErrNotExist) {
				break
			}
			ok, err := c.port.NeedOK(ctx, "token-insertion-request", "Please insert "+src.Path+" token")
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

func (c *Client) tlsOptions(ctx context.Context) (*tlsconf.Options, error) {
	o, err := material.TLSOptions(c.opts)
	if err != nil {
		return nil, err
	}
	o.Passphrase = func() (string, error) {
		pass, err := c.passphrase(ctx)
		if err == nil && !c.opts.AuthNocache {
			c.warnCaching()
		}
		return pass, err
	}
	if err := c.external(ctx, &o); err != nil {
		return nil, err
	}
	return &o, c.tokenKey(ctx, &o)
}

// external puts the management port in the place of a key, and of a certificate.
func (c *Client) external(ctx context.Context, o *tlsconf.Options) error {
	if !c.port.Reachable() {
		return nil
	}
	if hint := c.opts.ManagementExternalCert; hint != "" {
		pem, err := c.port.AskCertificate(ctx, hint)
		if err != nil {
			return err
		}
		o.Cert = []byte(pem)
	}
	if !c.opts.ManagementExternalKey {
		return nil
	}
	o.External = &tlsconf.External{Sign: func(r tlsconf.SignRequest) ([]byte, error) {
		a := c.live.Load()
		if a == nil {
			return nil, errors.New("no connection attempt to sign for")
		}
		return c.port.Sign(a.ctx, r.Data, r.Algorithm)
	}}
	for _, flag := range c.opts.ManagementExternalKeyFlags {
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

// tlsFailed is the stop for keys and certificates that could not be loaded. A wrong passphrase is logged and dropped, and
// asked for again unless auth-retry is none.
func (c *Client) tlsFailed(ctx context.Context, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.interrupted(ctx)
	}
	bad := errors.Is(err, tlsconf.ErrPassphrase)
	if !bad && !errors.Is(err, errNoToken) {
		return fatal(err)
	}
	name := c.opts.Key.String()
	if c.opts.PKCS12.Set() {
		name = c.opts.PKCS12.String()
	}
	if bad {
		c.secrets.on((*credentials.Set).KeyRefused)
		c.port.PasswordFailed(mgmt.SecretPrivateKey, "")
		c.log(logging.Alert, "Cannot load private key file %s", name)
	}
	if c.secrets.Retry() == mgmt.AuthRetryNone {
		return fatal(errors.New("Error: private key password verification failed")) //nolint:staticcheck // the line scripts know
	}
	return c.soft(engine.Soft, mgmt.ReasonPrivateKey)
}

// handshake returns the TLS configuration of one handshake, whose checks are logged and exported to scripts.
func (a *attempt) handshake() *tls.Config {
	h := tlsconf.Hooks{Step: a.c.verifyStep}
	if a.c.hooks.Wanted(a.opts.TLSVerify, plugin.TLSVerify) || a.opts.NSCertType != "" {
		h.Cert = a.verifyScript
	}
	return a.c.tls.conf.TLS(h)
}

// verifyStep logs one check of the peer's certificates and exports the certificate it was about.
func (c *Client) verifyStep(s tlsconf.Step) {
	if s.Cert != nil {
		c.exportCert(s.Depth, s.Cert)
	}
	if s.Line != "" {
		c.log(s.Level, "%s", s.Line)
	}
}

// exportCert sets the script variables of a certificate.
func (c *Client) exportCert(depth int, cert *x509.Certificate) {
	if depth == 0 {
		c.env.Set("common_name", c.commonName(cert))
	}
	for _, v := range material.CertVars(c.opts, depth, cert) {
		name, value, _ := strings.Cut(v, "=")
		c.env.Set(name, value)
	}
}

// commonName is the name of a certificate by x509-username-field, the common name by default.
func (c *Client) commonName(cert *x509.Certificate) string {
	name, err := tlsconf.Username(cert, c.opts.X509UsernameFields)
	if err != nil {
		return ""
	}
	return name
}

// verifyScript runs the tls-verify script, if there is one, for one certificate.
func (a *attempt) verifyScript(depth int, cert *x509.Certificate, subject string) error {
	o := a.c.opts // not the attempt's: a renegotiation has a goroutine of its own
	if !a.c.hooks.Wanted(o.TLSVerify, plugin.TLSVerify) {
		return nil
	}
	a.c.exportCert(depth, cert)
	path, err := material.ExportCert(o, cert)
	if err != nil {
		a.c.log(logging.Error, "%v", err)
		return err
	}
	if path != "" {
		a.c.env.Set("peer_cert", path)
		defer func() {
			_ = os.Remove(path)
			a.c.env.Unset("peer_cert")
		}()
	}
	call := hooks.Call{
		Event: plugin.TLSVerify, Depth: depth, Log: a.c.log,
		Tag: "--tls-verify script", Type: "tls-verify", Command: strings.ReplaceAll(o.TLSVerify, ",", " "),
		Args: []string{fmt.Sprint(depth), subject}, Env: a.c.env,
	}
	if a.c.hooks.Plugins.Wants(plugin.TLSVerify) {
		if err := a.c.hooks.TellPlugins(a.ctx, call); err != nil {
			a.c.log(logging.Summary, "VERIFY PLUGIN ERROR: depth=%d, %s", depth, subject)
			return err
		}
		a.c.log(logging.Summary, "VERIFY PLUGIN OK: depth=%d, %s", depth, subject)
	}
	if o.TLSVerify == "" {
		return nil
	}
	if err := a.c.hooks.Run(a.ctx, call); err != nil {
		a.c.log(logging.Alert, "%v", err)
		a.c.log(logging.Summary, "VERIFY SCRIPT ERROR: depth=%d, %s", depth, subject)
		return err
	}
	a.c.log(logging.Summary, "VERIFY SCRIPT OK: depth=%d, %s", depth, subject)
	return nil
}

// wrapping is how an attempt protects its control packets.
type wrapping struct {
	wrap   ctrlwrap.Wrapper
	static *keys.StaticKey // base of dynamic tls-crypt, nil without a key
	reset  wire.Opcode
}

func loadWrapping(o *config.Options, prof *config.Connection) (wrapping, error) {
	w := wrapping{wrap: ctrlwrap.NewPlain(), reset: wire.OpControlHardResetClientV2}
	role := role(o)
	switch {
	case prof.TLSCryptV2.Set():
		b, err := prof.TLSCryptV2.Load()
		if err != nil {
			return w, err
		}
		ck, err := keys.ParseClientKey(b)
		if err != nil {
			return w, fmt.Errorf("tls-crypt-v2 %s: %w", prof.TLSCryptV2, err)
		}
		w.wrap, w.static, w.reset = ctrlwrap.NewTLSCryptV2Client(&ck.Key, ck.WKc), &ck.Key, wire.OpControlHardResetClientV3
	case prof.TLSCrypt.Set(), prof.TLSAuth.Set():
		option, src := "tls-crypt", prof.TLSCrypt
		if !src.Set() {
			option, src = "tls-auth", prof.TLSAuth
		}
		key, err := material.StaticKey(option, src)
		if err != nil {
			return w, err
		}
		w.static = key
		if prof.TLSCrypt.Set() {
			w.wrap = ctrlwrap.NewTLSCrypt(key, role)
			break
		}
		digest, err := keys.ParseDigest(o.Auth)
		if err != nil {
			return w, err
		}
		w.wrap = ctrlwrap.NewTLSAuth(key, material.Direction(prof.KeyDirection), digest)
	}
	return w, nil
}

func role(o *config.Options) keys.Role {
	if o.TLSServer {
		return keys.Server
	}
	return keys.Client
}
