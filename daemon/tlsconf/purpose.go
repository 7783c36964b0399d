package tlsconf

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // verify-hash may name one
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// usage is one extended key usage under OpenSSL's names.
type usage struct {
	oid         asn1.ObjectIdentifier
	short, long string
}

var (
	serverAuth = usage{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}, "serverAuth", "TLS Web Server Authentication"}
	clientAuth = usage{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}, "clientAuth", "TLS Web Client Authentication"}
)

var usages = []usage{
	serverAuth, clientAuth,
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}, "codeSigning", "Code Signing"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}, "emailProtection", "E-mail Protection"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 5}, "ipsecEndSystem", "IPSec End System"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 6}, "ipsecTunnel", "IPSec Tunnel"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 7}, "ipsecUser", "IPSec User"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}, "timeStamping", "Time Stamping"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}, "OCSPSigning", "OCSP Signing"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 17}, "ipsecIKE", "ipsec Internet Key Exchange"},
	{asn1.ObjectIdentifier{2, 5, 29, 37, 0}, "anyExtendedKeyUsage", "Any Extended Key Usage"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 21}, "msCodeInd", "Microsoft Individual Code Signing"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 22}, "msCodeCom", "Microsoft Commercial Code Signing"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 1}, "msCTLSign", "Microsoft Trust List Signing"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 3}, "msSGC", "Microsoft Server Gated Crypto"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 4}, "msEFS", "Microsoft Encrypted File System"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 4, 1}, "nsSGC", "Netscape Server Gated Crypto"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 10}, "DVCS", "dvcs"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}, "msSmartcardLogin", "Microsoft Smartcard Login"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 18}, "capwapAC", "Ctrl/provision WAP Access"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 19}, "capwapWTP", "Ctrl/Provision WAP Termination"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 21}, "secureShellClient", "SSH Client"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 22}, "secureShellServer", "SSH Server"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 23}, "sendRouter", "Send Router"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 24}, "sendProxiedRouter", "Send Proxied Router"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 25}, "sendOwner", "Send Owner"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 26}, "sendProxiedOwner", "Send Proxied Owner"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 2, 3, 4}, "pkInitClientAuth", "PKINIT Client Auth"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 2, 3, 5}, "pkInitKDC", "Signing KDC Response"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 27}, "cmcCA", "CMC Certificate Authority"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}, "cmcRA", "CMC Registration Authority"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 29}, "cmcArchive", "CMC Archive Server"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 30}, "id-kp-bgpsec-router", "BGPsec Router"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 31}, "id-kp-BrandIndicatorforMessageIdentification", "Brand Indicator for Message Identification"},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 32}, "cmKGA", "Certificate Management Key Generation Authority"},
}

// parseUsage reads the argument of remote-cert-eku.
func parseUsage(name string) (*usage, error) {
	for i := range usages {
		u := &usages[i]
		if name == u.long || name == u.short || name == u.oid.String() {
			return u, nil
		}
	}
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(name, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("remote-cert-eku: unknown extended key usage %q", name)
		}
		oid = append(oid, int(n))
	}
	return &usage{oid: oid, short: name, long: name}, nil
}

// purpose checks the Netscape type, key usage and extended key usage of the peer's own certificate.
func (c *check) purpose(cert *x509.Certificate) error {
	if c.v.NSType != "" {
		if err := c.netscapeType(cert); err != nil {
			return err
		}
	}
	if c.v.RequireKU || len(c.v.KU) > 0 {
		if err := c.keyUsage(cert); err != nil {
			return err
		}
	}
	if c.eku == nil {
		return nil
	}
	c.say(0, cert, logging.Summary, "Validating certificate extended key usage")
	have, ok, err := certs.ExtKeyUsage(cert)
	if !ok {
		c.say(0, cert, logging.Summary, "Certificate does not have extended key usage extension")
		return c.refuse(0, cert, logging.Summary, "extended key usage missing", "VERIFY EKU ERROR")
	}
	if err != nil {
		return c.refuse(0, cert, logging.Summary, "malformed extended key usage", "VERIFY EKU ERROR")
	}
	for _, oid := range have {
		names := []struct{ kind, name string }{{"oid", oid.String()}}
		if u, err := parseUsage(oid.String()); err == nil && u.long != oid.String() {
			names = []struct{ kind, name string }{{"str", u.long}, names[0]}
		}
		for _, n := range names {
			c.say(0, cert, logging.Summary, "++ Certificate has EKU (%s) %s, expects %s", n.kind, n.name, c.v.EKU)
			if n.name == c.v.EKU {
				break
			}
		}
		if oid.Equal(c.eku.oid) {
			c.say(0, cert, logging.Summary, "VERIFY EKU OK")
			return nil
		}
	}
	return c.refuse(0, cert, logging.Summary, "extended key usage does not match", "VERIFY EKU ERROR")
}

// netscapeType refuses a certificate that names another purpose than its role. A certificate that names none passes, as with stock;
// remote-cert-tls demands one.
func (c *check) netscapeType(cert *x509.Certificate) error {
	wanted := serverRole
	if c.v.NSType == "client" {
		wanted = clientRole
	}
	kind := strings.ToUpper(c.v.NSType)
	if ok, err := wanted.fits(cert, false); err != nil || !ok {
		return c.refuse(0, cert, logging.Error, "wrong Netscape type", "VERIFY nsCertType ERROR: "+Subject(cert)+", require nsCertType="+kind)
	}
	c.say(0, cert, logging.Info, "VERIFY OK: nsCertType=%s", kind)
	return nil
}

func (c *check) keyUsage(cert *x509.Certificate) error {
	have, ok, err := certs.KeyUsage(cert)
	if !ok {
		c.say(0, cert, logging.Summary, "Certificate does not have key usage extension")
		return c.refuse(0, cert, logging.Summary, "key usage missing", "VERIFY KU ERROR")
	}
	if len(c.v.KU) == 0 {
		c.say(0, cert, logging.Summary, "VERIFY KU OK")
		return nil
	}
	if err != nil {
		return c.refuse(0, cert, logging.Summary, "malformed key usage", "VERIFY KU ERROR")
	}
	c.say(0, cert, logging.Summary, "Validating certificate key usage")
	for _, want := range c.v.KU {
		if want != 0 && have&want == want {
			c.say(0, cert, logging.Summary, "VERIFY KU OK")
			return nil
		}
	}
	complain := func(format string, bits uint32) {
		c.h.step(Step{Cert: cert, Subject: Subject(cert), Level: logging.Error, Line: fmt.Sprintf(format, bits)})
	}
	complain("ERROR: Certificate has key usage %04x, expected one of:", have)
	for _, want := range c.v.KU {
		complain(" * %04x", want)
	}
	return c.refuse(0, cert, logging.Summary, "key usage does not match", "VERIFY KU ERROR")
}

// name checks the peer's name: it has to have one, and the one verify-x509-name asks for.
func (c *check) name(cert *x509.Certificate) error {
	user, err := Username(cert, c.v.UsernameFields)
	if err != nil {
		subject := Subject(cert)
		return c.refuse(0, cert, logging.Error, err.Error(), fmt.Sprintf(
			"VERIFY ERROR: could not extract %s from X509 subject string ('%s') -- note that the field length is limited to %d characters",
			c.field(), subject, maxName))
	}
	if c.v.X509Name == "" {
		return nil
	}
	got, ok := user, false
	switch c.v.X509NameType {
	case SubjectName:
		got = Subject(cert)
		ok = got == c.v.X509Name
	case FieldName:
		ok = got == c.v.X509Name
	case FieldPrefix:
		ok = strings.HasPrefix(got, c.v.X509Name)
	}
	subject := Subject(cert)
	if !ok {
		if c.v.WholeSubject {
			got = subject
		}
		return c.refuse(0, cert, logging.Summary, "name does not match", fmt.Sprintf("VERIFY X509NAME ERROR: %s, must be %s", got, c.v.X509Name))
	}
	c.say(0, cert, logging.Summary, "VERIFY X509NAME OK: %s", subject)
	return nil
}

func (c *check) field() string {
	if len(c.v.UsernameFields) == 0 {
		return "CN"
	}
	return strings.Join(c.v.UsernameFields, "_")
}

// pinned compares fingerprints: peer-fingerprint with the peer's own certificate, verify-hash with the one
// above it.
func (c *check) pinned(depth int, cert *x509.Certificate) error {
	switch {
	case depth == 0 && len(c.v.Fingerprints) > 0:
		sum := sha256.Sum256(cert.Raw)
		ok := 0
		for _, want := range c.v.Fingerprints {
			ok |= subtle.ConstantTimeCompare(sum[:], want)
		}
		if ok == 0 {
			return c.refuse(depth, cert, logging.Error, "fingerprint not in the list", fmt.Sprintf(
				"TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got fingerprint: %s", Fingerprint(sum[:])))
		}
	case depth == 1 && len(c.v.Hashes) > 0:
		sum256, sum1 := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw) //nolint:gosec // asked for
		if !slices.ContainsFunc(c.v.Hashes, func(h []byte) bool { return bytes.Equal(sum256[:], h) || bytes.Equal(sum1[:], h) }) {
			got := sum256[:]
			if len(c.v.Hashes[0]) == sha1.Size {
				got = sum1[:]
			}
			return c.refuse(depth, cert, logging.Error, "fingerprint of the level-1 certificate does not match", fmt.Sprintf(
				"TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got fingerprint: %s", Fingerprint(got)))
		}
	}
	return nil
}

// Fingerprint writes a hash as "ad:b0:95:…".
func Fingerprint(sum []byte) string {
	var b strings.Builder
	for i, x := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", x)
	}
	return b.String()
}

// keyUsageNames are OpenSSL's names of the bits of a key usage, the first bit first.
var keyUsageNames = []string{
	"Digital Signature", "Non Repudiation", "Key Encipherment", "Data Encipherment", "Key Agreement", "Certificate Sign", "CRL Sign", "Encipher Only", "Decipher Only",
}

// KeyUsages returns OpenSSL's names of the key usages of a certificate.
func KeyUsages(cert *x509.Certificate) (names []string) {
	usage, _, _ := certs.KeyUsage(cert)
	for i, name := range keyUsageNames {
		if usage>>(i/8*8)&0xff&(0x80>>(i%8)) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Purposes returns OpenSSL's names of the extended key usages of a certificate, dotted ids for those without one.
func Purposes(cert *x509.Certificate) (names []string) {
	purposes, _, _ := certs.ExtKeyUsage(cert)
	for _, id := range purposes {
		name := id.String()
		if u, err := parseUsage(name); err == nil {
			name = u.long
		}
		names = append(names, name)
	}
	return names
}
