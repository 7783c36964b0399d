package tlsconf

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// ErrPassphrase means that the private key or the bundle did not open: a wrong passphrase, or none when one
// was needed.
var ErrPassphrase = errors.New("private key passphrase wrong or missing")

// loadPair returns our certificate with its key, or nil when the options hold none.
func loadPair(o *Options, v *verifier) (*tls.Certificate, error) {
	pair, err := readPair(o, v)
	if pair == nil || err != nil {
		return nil, err
	}
	extra, err := parseCerts(o.ExtraCerts)
	if err != nil {
		return nil, fmt.Errorf("extra-certs: %w", err)
	}
	for _, cert := range extra {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair, nil
}

func readPair(o *Options, v *verifier) (*tls.Certificate, error) {
	if len(o.PKCS12) > 0 {
		return readBundle(o, v)
	}
	if len(o.Cert) == 0 && len(o.Key) == 0 && o.External == nil {
		return nil, nil
	}
	certs, err := parseCerts(o.Cert)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	if len(certs) == 0 {
		return nil, ErrNoCertificate
	}
	var key crypto.PrivateKey
	switch {
	case o.External != nil:
		signer, algorithms, err := o.External.signer(certs[0])
		if err != nil {
			return nil, err
		}
		pair := newPair(certs, signer)
		pair.SupportedSignatureAlgorithms = algorithms
		return pair, nil
	case len(o.Key) == 0:
		return nil, ErrNoCertificate
	default:
		if key, err = ParseKey(o.Key, o.Passphrase); err != nil {
			return nil, err
		}
	}
	if !matches(certs[0], key) {
		return nil, errors.New("private key does not match the certificate")
	}
	return newPair(certs, key), nil
}

// readBundle opens a PKCS#12 bundle. Its further certificates are trusted when there is no CA option, and
// sent after ours otherwise.
func readBundle(o *Options, v *verifier) (*tls.Certificate, error) {
	key, cert, others, err := pkcs12.DecodeChain(o.PKCS12, "")
	if errors.Is(err, pkcs12.ErrIncorrectPassword) && o.Passphrase != nil {
		pass, askErr := o.Passphrase()
		if askErr != nil {
			return nil, fmt.Errorf("ask for the passphrase: %w", askErr)
		}
		key, cert, others, err = pkcs12.DecodeChain(o.PKCS12, pass)
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, fmt.Errorf("pkcs12: %w", ErrPassphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("pkcs12: %w", err)
	}
	if !matches(cert, key) {
		return nil, errors.New("pkcs12: private key does not match the certificate")
	}
	if len(o.CA) == 0 && o.CAPath == "" {
		v.trust(others)
		return newPair([]*x509.Certificate{cert}, key), nil
	}
	return newPair(append([]*x509.Certificate{cert}, others...), key), nil
}

func newPair(certs []*x509.Certificate, key crypto.PrivateKey) *tls.Certificate {
	pair := &tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair
}

// ParseKey reads the first private key of a PEM text: PKCS#8 (also encrypted), PKCS#1 and SEC 1 (also in
// the old encrypted form). Passphrase is asked only for encrypted keys, and may be nil.
// A wrong or missing passphrase is ErrPassphrase.
func ParseKey(text []byte, passphrase func() (string, error)) (crypto.PrivateKey, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("key: no private key in PEM form")
		}
		text = rest
		switch block.Type {
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			key, err := parseKeyBlock(block, passphrase)
			if err != nil {
				return nil, fmt.Errorf("key: %w", err)
			}
			return key, nil
		}
	}
}

func parseKeyBlock(block *pem.Block, passphrase func() (string, error)) (crypto.PrivateKey, error) {
	der := block.Bytes
	//lint:ignore SA1019 Broken by design, and still what old key files hold.
	old := x509.IsEncryptedPEMBlock(block)
	if old || block.Type == "ENCRYPTED PRIVATE KEY" {
		if passphrase == nil {
			return nil, ErrPassphrase
		}
		pass, err := passphrase()
		if err != nil {
			return nil, fmt.Errorf("ask for the passphrase: %w", err)
		}
		if !old {
			key, err := pkcs8.ParsePKCS8PrivateKey(der, []byte(pass))
			if err != nil {
				return nil, fmt.Errorf("%w (%w)", ErrPassphrase, err)
			}
			return key, nil
		}
		//lint:ignore SA1019 see above
		if der, err = x509.DecryptPEMBlock(block, []byte(pass)); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrPassphrase, err)
		}
	}
	key, err := parseDER(block.Type, der)
	if err != nil && old {
		// The old form has no checksum: one wrong passphrase in 256 decrypts to rubbish.
		return nil, fmt.Errorf("%w (%w)", ErrPassphrase, err)
	}
	return key, err
}

func parseDER(kind string, der []byte) (crypto.PrivateKey, error) {
	switch kind {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(der)
	default:
		return x509.ParsePKCS8PrivateKey(der)
	}
}

func matches(cert *x509.Certificate, key crypto.PrivateKey) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(cert.PublicKey)
}

// parseCerts returns every certificate of a PEM text; other blocks and text between them are passed over.
func parseCerts(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return certs, nil
		}
		text = rest
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
}
