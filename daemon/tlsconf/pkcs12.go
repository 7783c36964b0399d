package tlsconf

import (
	"crypto"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what old bundles hold
	"crypto/sha1" //nolint:gosec // what old bundles hold
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf8"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// openBundle returns the private key of a PKCS#12 bundle, its certificate and the others. The library reads what it can; the
// digests and ciphers it lacks, BER, and certificates that crypto/x509 refuses, are read here.
func openBundle(ber []byte, pass string) (crypto.PrivateKey, *x509.Certificate, []*x509.Certificate, error) {
	der, err := certs.DER(ber)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("bundle: %w", err)
	}
	if utf8.ValidString(pass) { // the library knows no other
		key, cert, others, err := pkcs12.DecodeChain(der, pass)
		switch {
		case err == nil:
			return key, cert, others, nil
		case errors.Is(err, pkcs12.ErrIncorrectPassword):
			return nil, nil, nil, ErrPassphrase
		}
	}
	var b bundle
	if err := b.read(der, pass); err != nil {
		return nil, nil, nil, err
	}
	return b.identity()
}

// bundle holds the content of a PKCS#12 file.
type bundle struct {
	pass  string
	keys  []crypto.PrivateKey
	certs []*x509.Certificate
}

// identity returns the first key that has a certificate, that, and the other certificates.
func (b *bundle) identity() (crypto.PrivateKey, *x509.Certificate, []*x509.Certificate, error) {
	for _, key := range b.keys {
		for i, cert := range b.certs {
			if matches(cert, key) {
				return key, cert, append(b.certs[:i:i], b.certs[i+1:]...), nil
			}
		}
	}
	return nil, nil, nil, fmt.Errorf("%d private keys and %d certificates, none of which belong together", len(b.keys), len(b.certs))
}

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
)

// macHashes are the digests of a bundle's MAC.
var macHashes = map[string]func() hash.Hash{
	"1.3.14.3.2.26": sha1.New, "2.16.840.1.101.3.4.2.4": sha256.New224, "2.16.840.1.101.3.4.2.1": sha256.New,
	"2.16.840.1.101.3.4.2.2": sha512.New384, "2.16.840.1.101.3.4.2.3": sha512.New, "1.2.840.113549.2.5": md5.New,
	"2.16.840.1.101.3.4.2.5": sha512.New512_224, "2.16.840.1.101.3.4.2.6": sha512.New512_256,
	"2.16.840.1.101.3.4.2.7":  func() hash.Hash { return sha3.New224() },
	"2.16.840.1.101.3.4.2.8":  func() hash.Hash { return sha3.New256() },
	"2.16.840.1.101.3.4.2.9":  func() hash.Hash { return sha3.New384() },
	"2.16.840.1.101.3.4.2.10": func() hash.Hash { return sha3.New512() },
}

// contentInfo is one part of a bundle. Content.Bytes is an element of its own: the library leaves the explicit tag around it.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

// read checks the MAC of a bundle and opens what is in it.
//
// Rule: RFC 7292, section 4.
func (b *bundle) read(der []byte, pass string) error {
	b.pass = pass
	var pfx struct {
		Version int
		Safe    contentInfo
		MAC     struct {
			Digest struct {
				Algorithm pkix.AlgorithmIdentifier
				Sum       []byte
			}
			Salt       []byte
			Iterations int `asn1:"optional,default:1"`
		} `asn1:"optional"`
	}
	if err := unmarshalBER(der, &pfx); err != nil {
		return err
	}
	var safe []byte
	if _, err := asn1.Unmarshal(pfx.Safe.Content.Bytes, &safe); err != nil || !pfx.Safe.Type.Equal(oidData) {
		return errors.New("bundle: no authenticated safe")
	}
	if mac := pfx.MAC; len(mac.Digest.Algorithm.Algorithm) > 0 {
		newHash, ok := macHashes[mac.Digest.Algorithm.Algorithm.String()]
		if !ok {
			return formError(mac.Digest.Algorithm.Algorithm)
		}
		key := pkcs12Key(newHash, bmp(pass), mac.Salt, mac.Iterations, 3, newHash().Size())
		h := hmac.New(newHash, key)
		h.Write(safe)
		if !hmac.Equal(h.Sum(nil), mac.Digest.Sum) {
			return ErrPassphrase
		}
	}
	var parts []contentInfo
	if err := unmarshalBER(safe, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		content, err := b.content(p)
		if err != nil {
			return err
		}
		if err := b.bags(content, 0); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalBER reads one part of a bundle, which may be BER.
func unmarshalBER(ber []byte, into any) error {
	if err := certs.UnmarshalBER(ber, into); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

// content returns the bags of one part of a bundle, opened.
func (b *bundle) content(p contentInfo) ([]byte, error) {
	switch {
	case p.Type.Equal(oidData):
		var content []byte
		_, err := asn1.Unmarshal(p.Content.Bytes, &content)
		return content, err
	case p.Type.Equal(oidEncryptedData):
		var sealed struct {
			Version int
			Info    struct {
				Type      asn1.ObjectIdentifier
				Algorithm pkix.AlgorithmIdentifier
				Data      asn1.RawValue // [0], an octet string in one part or in some
			}
		}
		if _, err := asn1.Unmarshal(p.Content.Bytes, &sealed); err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		open, err := openerOf(sealed.Info.Algorithm)
		if err != nil {
			return nil, err
		}
		data := sealed.Info.Data.Bytes
		if sealed.Info.Data.IsCompound {
			if data, err = certs.JoinOctets(data); err != nil {
				return nil, fmt.Errorf("bundle: %w", err)
			}
		}
		return open(data, b.pass)
	default:
		return nil, formError(p.Type)
	}
}

// maxNesting bounds bags in bags.
const maxNesting = 8

func (b *bundle) bags(der []byte, depth int) error {
	var bags []struct {
		Type       asn1.ObjectIdentifier
		Value      asn1.RawValue   `asn1:"explicit,tag:0"`
		Attributes []asn1.RawValue `asn1:"set,optional"`
	}
	if err := unmarshalBER(der, &bags); err != nil {
		return err
	}
	for _, bag := range bags {
		var err error
		switch bag.Type.String() {
		case "1.2.840.113549.1.12.10.1.1":
			err = b.addKey(bag.Value.Bytes)
		case "1.2.840.113549.1.12.10.1.2":
			var sealed struct {
				Algorithm pkix.AlgorithmIdentifier
				Data      []byte
			}
			if _, err = asn1.Unmarshal(bag.Value.Bytes, &sealed); err != nil {
				break
			}
			var open opener
			if open, err = openerOf(sealed.Algorithm); err != nil {
				break
			}
			var key []byte
			if key, err = open(sealed.Data, b.pass); err == nil {
				err = b.addKey(key)
			}
		case "1.2.840.113549.1.12.10.1.3":
			var held struct {
				Type asn1.ObjectIdentifier
				Cert []byte `asn1:"explicit,tag:0"`
			}
			if _, err = asn1.Unmarshal(bag.Value.Bytes, &held); err == nil && held.Type.Equal(oidX509) {
				var cert *x509.Certificate
				if cert, err = certs.Parse(held.Cert); err == nil {
					b.certs = append(b.certs, cert)
				}
			}
		case "1.2.840.113549.1.12.10.1.6":
			if depth < maxNesting {
				err = b.bags(bag.Value.Bytes, depth+1)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bundle) addKey(der []byte) error {
	key, err := parseDER(der)
	if err == nil {
		b.keys = append(b.keys, key)
	}
	return err
}
