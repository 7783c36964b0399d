package tlsconf

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
	"github.com/moongate-vpn/moongate/daemon/tls"
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
	extra, bad := ReadCerts(o.ExtraCerts)
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
	own, bad := ReadCerts(o.Cert)
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
	key, cert, others, err := openBundle(o.PKCS12, "")
	if errors.Is(err, ErrPassphrase) && o.Passphrase != nil {
		pass, askErr := o.Passphrase()
		if askErr != nil {
			return nil, fmt.Errorf("ask for the passphrase: %w", askErr)
		}
		key, cert, others, err = openBundle(o.PKCS12, pass)
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
	for block := range pemtext.Blocks(text) {
		if block.Type == "OPENSSH PRIVATE KEY" {
			return nil, errors.New("key: a key in the form of OpenSSH; convert a copy of it: ssh-keygen -p -m PEM -f COPY")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		key, err := parseKeyBlock(block, passphrase)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		return key, nil
	}
	return nil, errors.New("key: no private key in PEM form")
}

func parseKeyBlock(block *pem.Block, passphrase func() (string, error)) (crypto.PrivateKey, error) {
	der := block.Bytes
	open, err := openerFor(block)
	if err != nil {
		return nil, err
	}
	if open == nil {
		return parseDER(der)
	}
	if passphrase == nil {
		return nil, ErrPassphrase
	}
	pass, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	if der, err = open(pass); err != nil {
		return nil, err
	}
	key, err := parseDER(der)
	if err != nil && !isSequence(der) {
		// One wrong passphrase in 256 leaves the end in order and opens to rubbish.
		return nil, fmt.Errorf("%w (%w)", ErrPassphrase, err)
	}
	return key, err
}

// openerFor returns what decrypts a block, nil for one in the clear, or a *FormError.
func openerFor(block *pem.Block) (func(pass string) ([]byte, error), error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte
		}
		if _, err := asn1.Unmarshal(block.Bytes, &info); err != nil {
			if _, plain := parseDER(block.Bytes); plain == nil { // the label is wrong
				return nil, nil
			}
			return nil, err
		}
		open, err := openerOf(info.Algorithm)
		if err != nil {
			return nil, err
		}
		return func(pass string) ([]byte, error) { return open(info.Data, pass) }, nil
	}
	//lint:ignore SA1019 Broken by design, and still what old key files hold.
	if !x509.IsEncryptedPEMBlock(block) {
		return nil, nil
	}
	name, _, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	if !slices.Contains([]string{"DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}, name) {
		return nil, &FormError{name}
	}
	return func(pass string) ([]byte, error) {
		//lint:ignore SA1019 see above
		der, err := x509.DecryptPEMBlock(block, []byte(pass))
		if errors.Is(err, x509.IncorrectPasswordError) {
			err = ErrPassphrase
		}
		return der, err
	}, nil
}

// isSequence reports whether der is one whole SEQUENCE, as all keys are.
func isSequence(der []byte) bool {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	return err == nil && len(rest) == 0 && v.Tag == asn1.TagSequence
}

func matches(cert *x509.Certificate, key crypto.PrivateKey) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(cert.PublicKey)
}

// ReadCerts returns every certificate of a PEM text, and an error for each that is none; other blocks and text between them are
// passed over.
func ReadCerts(text []byte) (list []*x509.Certificate, bad []error) {
	n := 0
	for b := range pemtext.Blocks(text) {
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
