package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/tls"
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
	extra, bad := readCerts(o.ExtraCerts)
	if len(bad) > 0 {
		return nil, fmt.Errorf("extra-certs: %w", errors.Join(bad...))
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
	own, bad := readCerts(o.Cert)
	if len(bad) > 0 {
		return nil, fmt.Errorf("cert: %w", errors.Join(bad...))
	}
	if len(own) == 0 {
		return nil, ErrNoCertificate
	}
	var key crypto.PrivateKey
	var err error
	switch {
	case o.External != nil:
		signer, algorithms, err := o.External.signer(own[0])
		if err != nil {
			return nil, err
		}
		pair := newPair(own, signer)
		pair.SupportedSignatureAlgorithms = algorithms
		return pair, nil
	case len(o.Key) == 0:
		return nil, ErrNoCertificate
	default:
		if key, err = ParseKey(o.Key, o.Passphrase); err != nil {
			return nil, err
		}
	}
	if !matches(own[0], key) {
		return nil, errors.New("private key does not match the certificate")
	}
	return newPair(own, key), nil
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

func newPair(chain []*x509.Certificate, key crypto.PrivateKey) *tls.Certificate {
	pair := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair
}

// ParseKey reads the first private key of a PEM text: PKCS#8 (also encrypted), PKCS#1 and SEC 1 (also in
// the old encrypted form). Passphrase is asked only for encrypted keys, and may be nil.
// A wrong or missing passphrase is ErrPassphrase.
func ParseKey(text []byte, passphrase func() (string, error)) (crypto.PrivateKey, error) {
	for block := range blocks(text) {
		switch block.Type {
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			key, err := parseKeyBlock(block, passphrase)
			if err != nil {
				return nil, fmt.Errorf("key: %w", err)
			}
			return key, nil
		}
	}
	return nil, errors.New("key: no private key in PEM form")
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

// readCerts returns every certificate of a PEM text, and an error for each that is none; other blocks and text between them are
// passed over.
func readCerts(text []byte) (list []*x509.Certificate, bad []error) {
	n := 0
	for b := range blocks(text) {
		if b.Type != "CERTIFICATE" && b.Type != "X509 CERTIFICATE" && b.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		n++
		cert, err := certs.Parse(b.Bytes)
		if err != nil {
			bad = append(bad, fmt.Errorf("entry %d: %w", n, err))
			continue
		}
		list = append(list, cert)
	}
	return list, bad
}

// blocks are the PEM blocks of a text. A byte order mark before a block, as some editors and `cat` of their files leave it, is
// passed over.
func blocks(text []byte) iter.Seq[*pem.Block] {
	text = bytes.ReplaceAll(text, []byte("\ufeff-----BEGIN"), []byte("-----BEGIN"))
	return func(yield func(*pem.Block) bool) {
		for b, rest := pem.Decode(text); b != nil && yield(b); b, rest = pem.Decode(rest) {
		}
	}
}
