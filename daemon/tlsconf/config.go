package tlsconf

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

// Options are the TLS options of one end. The zero value of a field means the option was not given.
type Options struct {
	// Server says that this end is the TLS server.
	Server bool

	CA         []byte // certificates in PEM; may hold revocation lists too. Option ca
	CAPath     string // folder of certificates and revocation lists, read once. Option capath
	ExtraCerts []byte // certificates in PEM, sent after our own. Option extra-certs
	Cert, Key  []byte // PEM; further certificates in Cert are sent as well. Options cert and key
	PKCS12     []byte // DER bundle instead of Cert and Key. Option pkcs12

	// Passphrase is asked for an encrypted Key or PKCS12, once; an empty password is tried first on
	// bundles. Nil means that encrypted keys are an error.
	Passphrase func() (string, error)

	// External signs instead of Key. Option management-external-key.
	External *External

	VersionMin, VersionMax string // "1.0" to "1.3"; empty: 1.2, and whatever the library has
	VersionMinOrHighest    bool   // VersionMin falls back to the highest known version

	Ciphers      string // TLS 1.2 and older, OpenSSL or IANA names with colons. Option tls-cipher
	CipherSuites string // TLS 1.3, IANA names with colons. Option tls-ciphersuites
	Groups       string // key exchange groups with colons. Option tls-groups
	Profile      string // insecure, legacy, preferred or suiteb; empty: legacy. Option tls-cert-profile

	// ClientCert says what a server wants from its clients. Option verify-client-cert.
	ClientCert ClientCert

	Verify Verify

	Time func() time.Time // nil: time.Now
	Rand io.Reader        // nil: crypto/rand
}

// ClientCert says whether a server asks for certificates.
type ClientCert uint8

// Values of verify-client-cert.
const (
	RequireCert  ClientCert = iota // a client without certificate is refused
	OptionalCert                   // checked when there is one
	NoCert                         // not asked for
)

// ErrNoCertificate means that a server has neither certificate nor external key, or one half of a pair is missing.
var ErrNoCertificate = errors.New("certificate or private key missing")

// Config is a checked set of options. It is safe for concurrent use.
type Config struct {
	base     tls.Config // never handed out; cloned by TLS
	verifier *verifier
	notes    []string
}

// Build reads keys and certificates and checks every name. Errors end in what was wrong; nothing is kept of o
// but what handshakes need.
func Build(o Options) (*Config, error) {
	v, err := newVerifier(&o)
	if err != nil {
		return nil, err
	}
	c := &Config{verifier: v, notes: v.notes}
	if v.profile == insecure {
		c.note("WARNING: tls-cert-profile insecure: certificates signed over MD5 or SHA-1, which can be forged, are accepted")
	}
	if v.crls != nil {
		// Read now what each handshake will look at again, so that the log tells at the start.
		v.crls.current(func(_ logging.Level, format string, args ...any) { c.note(format, args...) })
	}
	if err := c.versions(&o); err != nil {
		return nil, err
	}
	if err := c.suites(&o); err != nil {
		return nil, err
	}
	pair, err := loadPair(&o, v)
	if err != nil {
		return nil, err
	}
	if pair == nil && o.Server {
		return nil, ErrNoCertificate
	}
	if pair != nil {
		if err := v.profile.refusesOwn(pair.Leaf); err != nil {
			return nil, err
		}
		c.noteTime(pair.Leaf, o.Time)
	}
	c.base.Time = o.Time
	c.base.Rand = o.Rand
	c.base.SessionTicketsDisabled = true
	c.base.DynamicRecordSizingDisabled = true
	c.base.Renegotiation = tls.RenegotiateNever
	if o.Server {
		c.server(&o, pair)
	} else {
		c.client(pair)
	}
	return c, nil
}

// noteTime warns of our own certificate when the other end will refuse it for its dates.
func (c *Config) noteTime(own *x509.Certificate, now func() time.Time) {
	if now == nil {
		now = time.Now
	}
	if own == nil {
		return
	}
	if reason := timeError(own, now()); strings.HasPrefix(reason, "certificate ") {
		c.note("WARNING: Your %s!", reason)
	}
}

func (c *Config) server(o *Options, pair *tls.Certificate) {
	c.base.Certificates = []tls.Certificate{*pair}
	switch o.ClientCert {
	case OptionalCert:
		c.base.ClientAuth = tls.RequestClientCert
	case NoCert:
		c.base.ClientAuth = tls.NoClientCert
	default:
		c.base.ClientAuth = tls.RequireAnyClientCert
	}
	if c.verifier.roots != nil {
		c.base.ClientCAs = c.verifier.roots // names for the certificate request only
	}
}

func (c *Config) client(pair *tls.Certificate) {
	c.base.InsecureSkipVerify = true // verified by us: no host names in a VPN
	if b := &c.base; pair != nil && onlyPKCS1(pair) && b.MinVersion < tls.VersionTLS13 && (b.MaxVersion == 0 || b.MaxVersion > tls.VersionTLS12) {
		b.MaxVersion = tls.VersionTLS12
		c.note("external key: TLS 1.3 is not offered, as it needs management-external-key pss or nopadding")
	}
	// Always our certificate, whatever authorities the server names, as stock does.
	c.base.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if pair == nil {
			return &tls.Certificate{}, nil
		}
		return pair, nil
	}
}

// TLS returns the configuration of one handshake. The caller may change it.
func (c *Config) TLS(h Hooks) *tls.Config {
	t := c.base.Clone()
	t.VerifyConnection = func(s tls.ConnectionState) error { return c.verifier.verify(s.PeerCertificates, h) }
	return t
}

// Notes returns what the log should say once about the options: unknown cipher names that were passed
// over, settings without effect here.
func (c *Config) Notes() []string { return c.notes }

func (c *Config) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}
