package certs

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// List is a revocation list of version 1 or 2.
type List struct {
	RawIssuer  []byte
	ThisUpdate time.Time // zero: in no form that RFC 5280 allows
	NextUpdate time.Time // zero, and HasNext false: none
	HasNext    bool

	Partial bool // it speaks of some reasons only, of other issuers too, or of changes since another list
	Unknown bool // a critical extension, of the list or an entry, that is not understood

	userOnly, caOnly, attributeOnly bool
	place                           reader // names of its distribution point, of which the certificate has to give one; empty: none

	signed  signed
	inner   reader              // from the algorithm in the body on
	revoked map[string]struct{} // absolute values of serial numbers, big-endian
}

// Revoked reports whether the list names the serial number of cert.
func (l *List) Revoked(cert *x509.Certificate) bool {
	_, ok := l.revoked[string(cert.SerialNumber.Bytes())]
	return ok
}

// SignedBy tells whether the key of by signed the list.
func (l *List) SignedBy(by *x509.Certificate) error { return l.signed.check(l.inner, by.PublicKey) }

// ErrKeyUsage means an authority that may not sign revocation lists.
var ErrKeyUsage = errors.New("key usage does not include CRL signing")

// MaySign tells whether the key usage of by lets it sign lists.
func MaySign(by *x509.Certificate) error {
	if usage, ok, err := KeyUsage(by); err != nil || ok && usage&KeyUsageCRLSign == 0 {
		return ErrKeyUsage
	}
	return nil
}

// Bits of [KeyUsage] that are looked at.
const (
	KeyUsageDigitalSignature = 0x80
	KeyUsageKeyEncipherment  = 0x20
	KeyUsageKeyAgreement     = 0x08
	KeyUsageCertSign         = 0x04
	KeyUsageCRLSign          = 0x02
)

// ParseList reads a revocation list in BER. An entry counts with its serial number alone: what else is in it, and whether that
// can be read, changes nothing.
func ParseList(der []byte) (*List, error) {
	l := &List{revoked: make(map[string]struct{})}
	var err error
	if l.signed, err = parseSigned(der); err == nil {
		err = l.parse(l.signed.body)
	}
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	l.signed.raw = nil
	return l, nil
}

func (l *List) parse(r reader) error {
	if _, _, err := r.skip(tagInteger); err != nil { // version
		return err
	}
	l.inner = r
	if _, err := r.want(tagSequence); err != nil { // the algorithm once more
		return err
	}
	issuer, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	if err := checkName(issuer.raw); err != nil { // it would fit no authority, and its entries nobody
		return err
	}
	l.RawIssuer = issuer.raw
	if r.empty() {
		return errDER
	}
	l.ThisUpdate = moment(&r)
	if tag := r.peek(); tag == tagUTCTime || tag == tagGeneralizedTime {
		l.NextUpdate, l.HasNext = moment(&r), true
	}
	entries, _, err := r.skip(tagSequence)
	if err != nil {
		return err
	}
	for e := entries.content; !e.empty(); {
		if err := l.entry(&e); err != nil {
			return err
		}
	}
	exts, ok, err := r.skip(0xa0)
	if err != nil {
		return err
	}
	if !ok {
		return nil
	}
	list, err := parseExtensions(exts.content)
	if err != nil {
		return err
	}
	l.extensions(list)
	return nil
}

var (
	oidReason = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// removed is the reason removeFromCRL, in DER: the entry takes back an earlier one.
var removed = []byte{0x0a, 1, 8}

// entry reads one certificate's entry. One that names another issuer is taken for this list's all the same.
func (l *List) entry(r *reader) error {
	e, err := r.want(tagSequence)
	if err != nil {
		return err
	}
	serial, err := e.content.want(tagInteger)
	if err != nil {
		return err
	}
	var exts []pkix.Extension
	if _, err := e.content.next(); err == nil && !e.content.empty() {
		exts, _ = parseExtensions(e.content) // the serial number counts, with or without them
	}
	l.Unknown = l.Unknown || slices.ContainsFunc(exts, func(x pkix.Extension) bool { return x.Critical && !x.Id.Equal(oidIssuer) })
	if reason, ok := find(exts, oidReason); !ok || !bytes.Equal(reason, removed) {
		l.revoked[string(integer(serial.content).Bytes())] = struct{}{}
	}
	return nil
}

// extensions looks at those that narrow what the list speaks of.
func (l *List) extensions(list []pkix.Extension) {
	for _, ext := range list {
		switch {
		case ext.Id.Equal(OIDDeltaCRL):
			l.Partial = true
		case ext.Id.Equal(OIDDistributionPoint):
			l.scope(ext.Value)
		case ext.Critical && !ext.Id.Equal(OIDAuthorityKeyID):
			l.Unknown = true
		}
	}
}

// SpeaksOf reports whether cert is of the kind, and of the distribution point, that the list is about.
func (l *List) SpeaksOf(cert *x509.Certificate) bool {
	limits, err := BasicConstraints(cert)
	ca := err == nil && limits.CA
	if l.attributeOnly || l.userOnly && ca || l.caOnly && !ca {
		return false
	}
	points, _ := Extension(cert, oidDistributionPoints)
	for r := l.place; !r.empty(); {
		e, err := r.next()
		if err != nil {
			return false
		}
		if bytes.Contains(points, e.raw) {
			return true
		}
	}
	return l.place.empty()
}

// scope reads an issuing distribution point.
//
// Rule: RFC 5280, section 5.2.5.
func (l *List) scope(value []byte) {
	r := reader(value)
	e, err := r.want(tagSequence)
	if err != nil {
		l.Partial = true
		return
	}
	for r = e.content; !r.empty(); {
		f, err := r.next()
		if err != nil {
			l.Partial = true
			return
		}
		set := !bytes.Equal(f.content, []byte{0})
		switch f.tag {
		case 0xa0:
			name, err := f.content.next()
			l.place = name.content
			if err != nil || name.tag != 0xa0 || l.place.empty() { // relative to the issuer's name
				l.Partial = true
			}
		case 0x81:
			l.userOnly = l.userOnly || set
		case 0x82:
			l.caOnly = l.caOnly || set
		case 0x85:
			l.attributeOnly = l.attributeOnly || set
		default: // some reasons, indirect lists
			l.Partial = l.Partial || set
		}
	}
}
