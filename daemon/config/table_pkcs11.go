package config

import (
	"strconv"
	"time"
)

// PKCS11 is a key on a smart card. It is empty in builds without the tag pkcs11.
type PKCS11 struct {
	Providers    []string      // modules
	Protected    []bool        // of each: the PIN is typed on the token
	CertPrivate  []bool        // of each: certificates need the PIN
	ID           string        // serialised id
	IDManagement bool          // ask the management port for the id
	PINCache     time.Duration // 0 keeps a PIN for as long as the token stays
}

// Set reports whether the key is on a token.
func (p *PKCS11) Set() bool { return p.ID != "" || p.IDManagement }

// p11kit is the module used when none is named: it stands for all that the system has.
const p11kit = "p11-kit-proxy.so"

// checkPKCS11 holds the rules about keys on smart cards.
func (p *parser) checkPKCS11() error {
	o := p.o
	if o.ModeServer {
		return errorf("--pkcs11-id: a server's key has to be in a file")
	}
	for _, x := range []struct {
		set  bool
		name string
	}{
		{o.Cert.Set(), "cert"}, {o.Key.Set(), "key"}, {o.PKCS12.Set(), "pkcs12"},
		{o.ManagementExternalKey, "management-external-key"}, {o.ManagementExternalCert != "", "management-external-cert"},
	} {
		if x.set {
			return errorf("Parameter --%s cannot be used when --pkcs11-provider is also specified.", x.name)
		}
	}
	switch {
	case !o.PKCS11.Set():
		return errorf("Parameter --pkcs11-id or --pkcs11-id-management should be specified.")
	case o.PKCS11.ID != "" && o.PKCS11.IDManagement:
		return errorf("Parameter --pkcs11-id cannot be used when --pkcs11-id-management is also specified.")
	case !o.CA.Set() && o.CAPath == "" && len(o.PeerFingerprint) == 0:
		return errorf("You must define CA file (--ca) or CA path (--capath) and/or peer fingerprint verification (--peer-fingerprint)")
	}
	if len(o.PKCS11.Providers) == 0 {
		o.PKCS11.Providers = []string{p11kit}
	}
	return nil
}

// pkcs11Rows are the options about smart cards.
func pkcs11Rows() []row {
	return []row{
		{"pkcs11-providers", 1, many, inMain, 0, func(p *parser, a []string) error {
			p.o.PKCS11.Providers = append(p.o.PKCS11.Providers, a...)
			return nil
		}},
		{"pkcs11-id", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.PKCS11.ID })},
		{"pkcs11-id-management", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.PKCS11.IDManagement })},
		{"pkcs11-pin-cache", 1, 1, inMain, 0, func(p *parser, a []string) error {
			n, err := integer(p, "pkcs11-pin-cache", a[0], -maxSeconds, maxSeconds)
			p.o.PKCS11.PINCache = time.Duration(max(n, 0)) * time.Second
			return err
		}},
		{"pkcs11-private-mode", 1, many, inMain, 0, func(_ *parser, a []string) error {
			for _, s := range a {
				if mode, err := strconv.ParseUint(s, 16, 32); err != nil || mode != 0 && mode&1 == 0 {
					return errorf("--pkcs11-private-mode %s: keys are used by signing only (mode 1, or 0 to choose)", s)
				}
			}
			return nil
		}},
		{"pkcs11-protected-authentication", 1, many, inMain, 0, bools(func(o *Options) *[]bool { return &o.PKCS11.Protected })},
		{"pkcs11-cert-private", 1, many, inMain, 0, bools(func(o *Options) *[]bool { return &o.PKCS11.CertPrivate })},
		{"show-pkcs11-ids", 0, 2, inMain, 0, (*parser).tool},
	}
}

// bools adds 0 and 1 to a list.
func bools(f func(o *Options) *[]bool) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		for _, s := range a {
			*f(p.o) = append(*f(p.o), s != "0")
		}
		return nil
	}
}
