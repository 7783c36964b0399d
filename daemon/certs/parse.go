package certs

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
)

// Parse reads a certificate in BER. Bytes behind it are passed over. In Raw all but the signed body is DER, as OpenSSL sends it and
// counts its fingerprint.
func Parse(ber []byte) (*x509.Certificate, error) {
	signed, err := parseSigned(ber)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c := &x509.Certificate{Raw: signed.raw, RawTBSCertificate: signed.bytes, Signature: signed.signature}
	c.SignatureAlgorithm = signed.algorithm.name()
	if err := parseBody(c, signed.body); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

// signed holds the common parts of certificates and lists: a body, how it is signed, the signature.
type signed struct {
	raw       []byte // all of it; in DER but for the body
	bytes     []byte // the body as it was signed
	body      reader // the elements in the body, in DER
	algorithm algorithm
	signature []byte
}

func parseSigned(ber []byte) (signed, error) {
	der, err := DER(ber)
	if err != nil {
		der = ber // what is wrong may be in a part that nothing reads
	}
	r := reader(der)
	all, err := r.want(tagSequence)
	if err != nil {
		return signed{}, err
	}
	body, err := all.content.want(tagSequence)
	if err != nil {
		return signed{}, err
	}
	s := signed{raw: all.raw, bytes: body.raw, body: body.content}
	if s.algorithm, err = parseAlgorithm(&all.content); err != nil {
		return signed{}, err
	}
	sig, err := all.content.want(tagBitString)
	if err != nil {
		return signed{}, err
	}
	if s.signature, err = bits(sig.content); err != nil {
		return signed{}, err
	}
	if &der[0] != &ber[0] {
		s.bytes = bodyIn(ber)
		s.raw = appendElement(nil, []byte{tagSequence}, slices.Concat(s.bytes, s.algorithm.raw, sig.raw))
	}
	return s, nil
}

// bodyIn returns the body of a certificate or list as it stands there; all of ber is known to be BER.
func bodyIn(ber []byte) []byte {
	_, content, _, _ := berHeader(ber)
	_, rest, _ := appendDER(nil, content, 1)
	return content[:len(content)-len(rest)]
}

func parseBody(c *x509.Certificate, r reader) error {
	c.Version = 1
	if e, ok, err := r.skip(0xa0); err != nil {
		return err
	} else if ok {
		v, err := e.content.want(tagInteger)
		if err != nil {
			return err
		}
		if n := integer(v.content); n.IsInt64() && n.Int64() < 1000 {
			c.Version = int(n.Int64()) + 1
		}
	}
	serial, err := r.want(tagInteger)
	if err != nil {
		return err
	}
	c.SerialNumber = integer(serial.content)
	if _, err = r.want(tagSequence); err != nil { // the algorithm once more: compared when the signature is
		return err
	}
	issuer, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	validity, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	subject, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	key, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	for _, name := range []element{issuer, subject} {
		if err := checkName(name.raw); err != nil {
			return err
		}
	}
	c.RawIssuer, c.RawSubject, c.RawSubjectPublicKeyInfo = issuer.raw, subject.raw, key.raw
	c.NotBefore, c.NotAfter = moment(&validity.content), moment(&validity.content)
	c.PublicKeyAlgorithm, c.PublicKey = publicKey(key.raw)
	for !r.empty() {
		e, err := r.next()
		if err != nil {
			return err
		}
		if e.tag == 0xa3 {
			if c.Extensions, err = parseExtensions(e.content); err != nil {
				return err
			}
		}
	}
	fillExtensions(c)
	return nil
}

// moment reads a time. Without one in a form that RFC 5280 allows it is zero.
func moment(r *reader) time.Time {
	e, err := r.next()
	if err != nil {
		return time.Time{}
	}
	form := "060102150405Z"
	switch {
	case e.tag == tagGeneralizedTime:
		form = "20060102150405Z"
	case e.tag != tagUTCTime:
		return time.Time{}
	}
	if len(e.content) != len(form) { // else time.Parse would take a fraction
		return time.Time{}
	}
	t, err := time.Parse(form, string(e.content))
	if err != nil {
		return time.Time{}
	}
	if e.tag == tagUTCTime && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t
}

// publicKey returns the key in a SubjectPublicKeyInfo, or nil for what there is no library for. RSA keys are read here, as
// crypto/x509 insists on parameters that some leave out, and elliptic ones, of which it knows one form and four curves.
func publicKey(spki []byte) (x509.PublicKeyAlgorithm, any) {
	r := reader(spki)
	info, err := r.want(tagSequence)
	if err != nil {
		return x509.UnknownPublicKeyAlgorithm, nil
	}
	alg, err := parseAlgorithm(&info.content)
	if err != nil {
		return x509.UnknownPublicKeyAlgorithm, nil
	}
	value, err := info.content.want(tagBitString)
	if err != nil || len(value.content) == 0 || value.content[0] != 0 {
		return x509.UnknownPublicKeyAlgorithm, nil
	}
	bits := value.content[1:]
	switch {
	case alg.oid.Equal(oidRSA), alg.oid.Equal(oidRSAPSS):
		if key := rsaKey(inDER(bits)); key != nil {
			return x509.RSA, key
		}
		return x509.UnknownPublicKeyAlgorithm, nil
	case alg.oid.Equal(oidEC):
		if key := ecKey(alg.params, bits); key != nil {
			return x509.ECDSA, key
		}
		return x509.UnknownPublicKeyAlgorithm, nil
	case alg.oid.Equal(oidEd448) && len(bits) == ed448.PublicKeySize:
		return x509.UnknownPublicKeyAlgorithm, ed448.PublicKey(bits)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return x509.UnknownPublicKeyAlgorithm, nil
	}
	return algorithmOf(key), key
}

func rsaKey(r reader) *rsa.PublicKey {
	pair, err := r.want(tagSequence)
	if err != nil {
		return nil
	}
	n, err := pair.content.want(tagInteger)
	if err != nil {
		return nil
	}
	e, err := pair.content.want(tagInteger)
	if err != nil {
		return nil
	}
	exp := integer(e.content)
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n.content)}
	if !exp.IsInt64() || exp.Int64() < 2 || exp.Int64() > math.MaxInt32 || key.N.Sign() <= 0 {
		return nil
	}
	key.E = int(exp.Int64())
	return key
}

func parseExtensions(r reader) ([]pkix.Extension, error) {
	list, err := r.want(tagSequence)
	if err != nil {
		return nil, err
	}
	var exts []pkix.Extension
	for r = list.content; !r.empty(); {
		e, err := r.want(tagSequence)
		if err != nil {
			return nil, err
		}
		id, err := e.content.want(tagOID)
		if err != nil {
			return nil, err
		}
		critical, _, err := e.content.skip(tagBoolean)
		if err != nil {
			return nil, err
		}
		value, err := e.content.want(tagOctetString)
		if err != nil {
			return nil, err
		}
		exts = append(exts, pkix.Extension{
			Id: oid(id.content), Critical: len(critical.content) == 1 && critical.content[0] != 0, Value: inDER(value.content),
		})
	}
	return exts, nil
}
