// Package material turns options into what the channels work with: it reads the files that hold certificates and keys, and
// says what a finished handshake and the certificates in it were.
package material

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// TLSOptions reads the certificates and keys that o names. The error says which file.
func TLSOptions(o *config.Options) (tlsconf.Options, error) {
	t := tlsconf.Options{
		Server: o.TLSServer, CAPath: o.Jail.Path(o.CAPath),
		VersionMin: o.TLSVersionMin, VersionMax: o.TLSVersionMax, VersionMinOrHighest: o.TLSVersionMinOrHighest,
		Ciphers: o.TLSCipher, CipherSuites: o.TLSCiphersuites, Groups: o.TLSGroups, Profile: o.TLSCertProfile,
		Verify: verify(o),
	}
	switch o.VerifyClientCert {
	case "none":
		t.ClientCert = tlsconf.NoCert
	case "optional":
		t.ClientCert = tlsconf.OptionalCert
	}
	if err := checkDH(o); err != nil {
		return t, err
	}
	for _, f := range []struct {
		src  config.Source
		dst  *[]byte
		kind string
	}{{o.CA, &t.CA, noCA}, {o.ExtraCerts, &t.ExtraCerts, noExtraCerts}, {o.Cert, &t.Cert, noCert}, {o.Key, &t.Key, noKey}, {o.PKCS12, &t.PKCS12, noPKCS12}} {
		if !f.src.Set() {
			continue
		}
		b, err := f.src.Load()
		if err != nil {
			return t, fmt.Errorf(f.kind+": %w", f.src, config.Cause(err))
		}
		*f.dst = b
	}
	if o.PKCS12.IsInline() {
		der, err := base64.StdEncoding.DecodeString(base64Text(string(t.PKCS12)))
		if err != nil {
			return t, fmt.Errorf("pkcs12: %w", err)
		}
		t.PKCS12 = der
	}
	return t, check(o, &t)
}

// base64Text joins the lines of an inline bundle, without the marks around it that some tools write, as for PEM.
func base64Text(block string) string {
	var b strings.Builder
	for line := range strings.Lines(block) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			b.WriteString(strings.Join(strings.Fields(line), ""))
		}
	}
	return b.String()
}

func verify(o *config.Options) tlsconf.Verify {
	v := tlsconf.Verify{
		RequireKU: o.RemoteCertKURequired, EKU: o.RemoteCertEKU, X509Name: o.VerifyX509Name, WholeSubject: o.Compat.LogsWholeSubject(),
		NSType: o.NSCertType, UsernameFields: o.X509UsernameFields, Fingerprints: o.PeerFingerprint, Hashes: o.VerifyHash,
	}
	for _, bits := range o.RemoteCertKU {
		v.KU = append(v.KU, uint32(bits))
	}
	switch o.VerifyX509Type {
	case "name":
		v.X509NameType = tlsconf.FieldName
	case "name-prefix":
		v.X509NameType = tlsconf.FieldPrefix
	}
	switch {
	case o.CRLDir:
		v.CRLDir, v.Where = o.CRL.Path, o.Jail.Path
	case o.CRL.IsInline():
		v.CRL = o.CRL.Inline
	default:
		v.CRLFile, v.Where = o.CRL.Path, o.Jail.Path
	}
	return v
}

// StaticKey reads the static key of an option; the error names option and file.
func StaticKey(option string, src config.Source) (*keys.StaticKey, error) {
	text, err := src.Load()
	if err != nil {
		return nil, fmt.Errorf("Read error on key file ('%s') (--%s): %w", src, option, config.Cause(err)) //nolint:staticcheck // stock's line
	}
	key, err := keys.ParseStaticKey(text)
	if err == nil && option != "tls-auth" { // it encrypts
		err = key.CheckCipher()
	}
	if err != nil {
		return nil, fmt.Errorf("Insufficient key material or header text not found in file '%s' (--%s): %w", src, option, err) //nolint:staticcheck // stock's line
	}
	return key, nil
}

// Direction is the key direction of a profile.
func Direction(d config.KeyDirection) keys.Direction {
	switch d {
	case config.KeyDirection0:
		return keys.Direction0
	case config.KeyDirection1:
		return keys.Direction1
	default:
		return keys.Bidirectional
	}
}
