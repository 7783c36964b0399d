package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// KeyKind is the kind of private key a certificate gets.
type KeyKind uint8

// Kinds of keys. ECDSA is the zero value: it is the quickest to make.
const (
	ECDSA KeyKind = iota
	RSA
	Ed25519
)

// CA is a throw-away certificate authority.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	PEM  []byte // the certificate

	serial  int64
	revoked []x509.RevocationListEntry
}

// Leaf is a certificate with its key, in the forms configuration files take.
type Leaf struct {
	Cert    *x509.Certificate
	Key     crypto.Signer
	CertPEM []byte
	KeyPEM  []byte // PKCS#8, not encrypted
}

// Spec says what certificate to issue. The zero value with a Name is a client
// certificate with an ECDSA key, valid for a year.
type Spec struct {
	Name      string    // common name
	Server    bool      // serverAuth instead of clientAuth
	Key       KeyKind   //
	NotBefore time.Time // an hour ago
	NotAfter  time.Time // in a year
	IP        net.IP    // subject alternative name, for hosts that are called by address
	NoUsage   bool      // leave out key usage and extended key usage
	// Subject is the whole subject in DER, in place of Name. A certificate whose subject Go cannot parse has no Cert.
	Subject []byte
}

// NewCA makes a certificate authority of that name, valid for ten years.
func NewCA(name string) (*CA, error) {
	key, err := newKey(ECDSA)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, Key: key, PEM: pemBlock("CERTIFICATE", der), serial: 1}, nil
}

// Issue makes a certificate with a fresh key; those with RSA share theirs.
func (c *CA) Issue(s Spec) (*Leaf, error) {
	key, err := newKey(s.Key)
	if err != nil {
		return nil, err
	}
	if s.NotBefore.IsZero() {
		s.NotBefore = time.Now().Add(-time.Hour)
	}
	if s.NotAfter.IsZero() {
		s.NotAfter = time.Now().AddDate(1, 0, 0)
	}
	c.serial++
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(c.serial),
		Subject:               pkix.Name{CommonName: s.Name},
		NotBefore:             s.NotBefore,
		NotAfter:              s.NotAfter,
		BasicConstraintsValid: true,
	}
	tmpl.RawSubject = s.Subject
	if s.IP != nil {
		tmpl.IPAddresses = []net.IP{s.IP}
	}
	if !s.NoUsage {
		tmpl.KeyUsage = x509.KeyUsageDigitalSignature
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if s.Server {
			tmpl.KeyUsage |= x509.KeyUsageKeyEncipherment
			tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.Cert, key.Public(), c.Key)
	if err != nil {
		return nil, fmt.Errorf("issue %s: %w", s.Name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil && s.Subject == nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &Leaf{
		Cert: cert, Key: key,
		CertPEM: pemBlock("CERTIFICATE", der),
		KeyPEM:  pemBlock("PRIVATE KEY", keyDER),
	}, nil
}

// Revoke puts the certificate on the authority's revocation list.
func (c *CA) Revoke(l *Leaf) {
	c.revoked = append(c.revoked, x509.RevocationListEntry{
		SerialNumber: l.Cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute),
	})
}

// CRL returns the revocation list in PEM, valid until next.
func (c *CA) CRL(next time.Time) ([]byte, error) {
	now := time.Now()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(now.UnixNano()), ThisUpdate: now.Add(-time.Hour), NextUpdate: next,
		RevokedCertificateEntries: c.revoked,
	}, c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("make revocation list: %w", err)
	}
	return pemBlock("X509 CRL", der), nil
}

// EncryptedKey returns the key as an encrypted PKCS#8 block in PEM.
func (l *Leaf) EncryptedKey(passphrase string) ([]byte, error) {
	der, err := pkcs8.MarshalPrivateKey(l.Key, []byte(passphrase), nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	return pemBlock("ENCRYPTED PRIVATE KEY", der), nil
}

// PKCS12 returns certificate, key and authority as one bundle.
func (l *Leaf) PKCS12(ca *CA, password string) ([]byte, error) {
	b, err := pkcs12.Modern.Encode(l.Key, l.Cert, []*x509.Certificate{ca.Cert}, password)
	if err != nil {
		return nil, fmt.Errorf("make bundle: %w", err)
	}
	return b, nil
}

// StaticKey returns a fresh static key file.
func StaticKey() []byte {
	var raw [256]byte
	_, _ = rand.Read(raw[:]) // never fails
	var b bytes.Buffer
	b.WriteString("-----BEGIN OpenVPN Static key V1-----\n")
	for i := 0; i < len(raw); i += 16 {
		fmt.Fprintf(&b, "%x\n", raw[i:i+16])
	}
	b.WriteString("-----END OpenVPN Static key V1-----\n")
	return b.Bytes()
}

// WriteFiles writes files of mode 0600 into dir, by name.
func WriteFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// rsaKey is the key of all certificates with RSA that this process makes: one takes a second under the race detector.
var rsaKey = sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKey(kind KeyKind) (crypto.Signer, error) {
	switch kind {
	case RSA:
		return rsaKey()
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
