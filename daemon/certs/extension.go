package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math"
	"net"
	"net/url"
	"slices"
)

// Extension returns the value of an extension.
func Extension(cert *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	return find(cert.Extensions, id)
}

func find(list []pkix.Extension, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, ext := range list {
		if ext.Id.Equal(id) {
			return ext.Value, true
		}
	}
	return nil, false
}

// Extensions that say what a certificate is for or whom it names. A second one of a kind could contradict the first.
var single = []asn1.ObjectIdentifier{OIDKeyUsage, OIDExtKeyUsage, OIDBasicConstraints, OIDNameConstraints, OIDNetscapeType, OIDSubjectAltName}

// Twice reports whether an extension that limits a certificate stands there more than once.
func Twice(cert *x509.Certificate) bool {
	for i, ext := range cert.Extensions {
		if !slices.ContainsFunc(single, ext.Id.Equal) {
			continue
		}
		if _, again := find(cert.Extensions[i+1:], ext.Id); again {
			return true
		}
	}
	return false
}

// ErrExtension means an extension that limits what a certificate is for and cannot be read.
var ErrExtension = errors.New("malformed extension")

// KeyUsage returns the bits of the key usage extension, first octet in the low byte, as 0x80a0 for digitalSignature,
// keyEncipherment and decipherOnly. ok is false without one; the error is ErrExtension.
func KeyUsage(cert *x509.Certificate) (usage uint32, ok bool, err error) {
	return bitString(cert, OIDKeyUsage)
}

// NetscapeType returns the bits of the Netscape certificate type: 0x80 client, 0x40 server, 0x04 authority of both.
// ok is false without one; the error is ErrExtension.
func NetscapeType(cert *x509.Certificate) (usage uint32, ok bool, err error) {
	return bitString(cert, OIDNetscapeType)
}

func bitString(cert *x509.Certificate, id asn1.ObjectIdentifier) (usage uint32, ok bool, err error) {
	value, ok := Extension(cert, id)
	if !ok {
		return 0, false, nil
	}
	r := reader(value)
	e, err := r.want(tagBitString)
	if err != nil {
		return 0, true, ErrExtension
	}
	octets, err := bits(e.content)
	if err != nil {
		return 0, true, ErrExtension
	}
	for i, b := range octets[:min(2, len(octets))] {
		usage |= uint32(b) << (8 * i)
	}
	return usage, true, nil
}

// ExtKeyUsage returns the purposes of the extended key usage extension. ok is false without one; an empty list allows nothing.
// The error is ErrExtension.
func ExtKeyUsage(cert *x509.Certificate) (usages []asn1.ObjectIdentifier, ok bool, err error) {
	value, ok := Extension(cert, OIDExtKeyUsage)
	if !ok {
		return nil, false, nil
	}
	r := reader(value)
	list, err := r.want(tagSequence)
	if err != nil {
		return nil, true, ErrExtension
	}
	for r = list.content; !r.empty(); {
		e, err := r.want(tagOID)
		if err != nil {
			return nil, true, ErrExtension
		}
		usages = append(usages, oid(e.content))
	}
	return usages, true, nil
}

// Constraints say whether a certificate is that of an authority, and over what.
type Constraints struct {
	Present bool
	CA      bool
	PathLen int // -1: no limit
}

// BasicConstraints reads the extension of that name. The error is ErrExtension; without the extension Present is false.
func BasicConstraints(cert *x509.Certificate) (Constraints, error) {
	c := Constraints{PathLen: -1}
	value, ok := Extension(cert, OIDBasicConstraints)
	if !ok {
		return c, nil
	}
	c.Present = true
	r := reader(value)
	list, err := r.want(tagSequence)
	if err != nil {
		return c, ErrExtension
	}
	ca, ok, err := list.content.skip(tagBoolean)
	if err != nil || ok && len(ca.content) != 1 {
		return c, ErrExtension
	}
	c.CA = ok && ca.content[0] != 0
	n, ok, err := list.content.skip(tagInteger)
	if err != nil || !list.content.empty() {
		return c, ErrExtension
	}
	if ok {
		limit := integer(n.content)
		if limit.Sign() < 0 {
			return c, ErrExtension
		}
		c.PathLen = math.MaxInt32
		if limit.IsInt64() {
			c.PathLen = int(min(limit.Int64(), math.MaxInt32))
		}
	}
	return c, nil
}

// SelfIssued reports whether subject and issuer are the same.
func SelfIssued(cert *x509.Certificate) bool { return SameName(cert.RawSubject, cert.RawIssuer) }

// supported are the critical extensions that are looked at here, or say nothing that concerns a tunnel. It is OpenSSL's list.
var supported = []asn1.ObjectIdentifier{
	OIDKeyUsage, OIDSubjectAltName, OIDBasicConstraints, OIDNameConstraints, OIDExtKeyUsage, OIDNetscapeType, OIDProxy,
	{2, 5, 29, 31}, {2, 5, 29, 32}, {2, 5, 29, 33}, {2, 5, 29, 36}, {2, 5, 29, 54}, // distribution points and policies
	{1, 3, 6, 1, 5, 5, 7, 1, 7}, {1, 3, 6, 1, 5, 5, 7, 1, 8}, // addresses and systems of RFC 3779
	{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, // no check of OCSP responders
}

// UnknownCritical reports whether a certificate has an extension that has to be understood and is not.
func UnknownCritical(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool {
		return e.Critical && !slices.ContainsFunc(supported, e.Id.Equal)
	})
}

// keyIDs returns the identifier of a certificate's own key, and of its authority's.
func keyIDs(list []pkix.Extension) (subject, authority []byte) {
	if value, ok := find(list, OIDSubjectKeyID); ok {
		r := reader(value)
		if e, err := r.want(tagOctetString); err == nil {
			subject = e.content
		}
	}
	if value, ok := find(list, OIDAuthorityKeyID); ok {
		r := reader(value)
		if e, err := r.want(tagSequence); err == nil {
			if id, ok, err := e.content.skip(0x80); ok && err == nil {
				authority = id.content
			}
		}
	}
	return subject, authority
}

// fillExtensions sets the fields that scripts, logs and checks read.
func fillExtensions(c *x509.Certificate) {
	c.SubjectKeyId, c.AuthorityKeyId = keyIDs(c.Extensions)
	if b, err := BasicConstraints(c); err == nil && b.Present {
		c.BasicConstraintsValid, c.IsCA, c.MaxPathLen, c.MaxPathLenZero = true, b.CA, b.PathLen, b.PathLen == 0
	}
	if value, ok := Extension(c, OIDSubjectAltName); ok {
		names, _ := GeneralNames(value)
		for _, n := range names {
			switch n.Kind {
			case KindEmail:
				c.EmailAddresses = append(c.EmailAddresses, n.Text())
			case KindDNS:
				c.DNSNames = append(c.DNSNames, n.Text())
			case KindURI:
				if u, err := url.Parse(n.Text()); err == nil {
					c.URIs = append(c.URIs, u)
				}
			case KindIP:
				if len(n.Value) == net.IPv4len || len(n.Value) == net.IPv6len {
					c.IPAddresses = append(c.IPAddresses, net.IP(n.Value))
				}
			}
		}
	}
}

// Kinds of general names.
const (
	KindOther     = 0
	KindEmail     = 1
	KindDNS       = 2
	KindDirectory = 4
	KindURI       = 6
	KindIP        = 7
)

// GeneralName is one alternative name: its kind, the tag in the CHOICE, and its bytes. For KindDirectory these are a name in DER.
type GeneralName struct {
	Kind  int
	Value []byte
}

// Text returns the bytes of a name as UTF-8.
func (n GeneralName) Text() string { return latin1(n.Value) }

// GeneralNames reads the value of an extension of alternative names. The names before one that cannot be read come with the error.
func GeneralNames(value []byte) ([]GeneralName, error) {
	r := reader(value)
	list, err := r.want(tagSequence)
	if err != nil {
		return nil, ErrExtension
	}
	var names []GeneralName
	for r = list.content; !r.empty(); {
		e, err := r.next()
		if err != nil || e.tag&0xc0 != 0x80 {
			return names, ErrExtension
		}
		kind := int(e.tag & tagNumber)
		if text := kind == KindEmail || kind == KindDNS || kind == KindURI; text && e.tag&tagConstructed != 0 {
			if e.content, err = join(e.content, tagIA5String); err != nil {
				return names, ErrExtension
			}
		}
		names = append(names, GeneralName{kind, e.content})
	}
	return names, nil
}
