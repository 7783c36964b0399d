package tlsconf

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// maxName is the longest common name, in bytes.
const maxName = 64

// DN returns a name in the form stock logs and compares it: parts in the order of the certificate, "C=XX,
// O=Org, CN=name", parts of one set joined by " + ", control characters as \XX, a
// backslash doubled.
func DN(raw []byte) string {
	var b strings.Builder
	for i, set := range certs.Names(raw) {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, attr := range set {
			if j > 0 {
				b.WriteString(" + ")
			}
			b.WriteString(shortName(attr.Type))
			b.WriteByte('=')
			b.WriteString(escape(attr.Value))
		}
	}
	return b.String()
}

func shortName(oid asn1.ObjectIdentifier) string {
	if name, ok := attributes[oid.String()]; ok {
		return name
	}
	return oid.String()
}

func escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || control(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range []byte(s) {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case control(rune(r)):
			fmt.Fprintf(&b, "\\%02X", r)
		default:
			b.WriteByte(r)
		}
	}
	return b.String()
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

// Subject returns the subject of a certificate in the form of [DN].
func Subject(cert *x509.Certificate) string { return DN(cert.RawSubject) }

// Username returns what stands for the user in a certificate: the values of the fields, joined by "_". No
// fields means CN. A field is an attribute of the subject (its last occurrence), "serialNumber" (the
// certificate's serial number in hex after 0x), or "ext:subjectAltName" and "ext:issuerAltName" (the last mail
// address in there, else the last DNS name, else the last URI). A field may name alternatives with "|" between them: the first
// that the certificate has is taken. Control characters become "_", and 64 bytes is the limit of the whole.
func Username(cert *x509.Certificate, fields []string) (string, error) {
	if len(fields) == 0 {
		fields = []string{"CN"}
	}
	parts := make([]string, 0, len(fields))
	for _, f := range fields {
		v, err := field(cert, f)
		if err != nil {
			return "", err
		}
		parts = append(parts, v)
	}
	name := strings.Join(parts, "_")
	if len(name) > maxName {
		return "", fmt.Errorf("user name of the certificate is longer than %d bytes", maxName)
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return '_'
		}
		return r
	}, name), nil
}

// field returns the first of the alternatives in name, with "|" between them, that the certificate has.
func field(cert *x509.Certificate, name string) (value string, err error) {
	for one := range strings.SplitSeq(name, "|") {
		if value, err = oneField(cert, one); err == nil && value != "" {
			return value, nil
		}
	}
	return value, err
}

func oneField(cert *x509.Certificate, name string) (string, error) {
	switch name {
	case "ext:subjectAltName":
		return altName(cert, certs.OIDSubjectAltName)
	case "ext:issuerAltName":
		return altName(cert, certs.OIDIssuerAltName)
	}
	if name == "serialNumber" {
		return fmt.Sprintf("0x%X", cert.SerialNumber.Bytes()), nil // whole bytes
	}
	short := name
	if s, ok := longAttributes[name]; ok {
		short = s
	}
	found, value := false, ""
	for _, set := range certs.Names(cert.RawSubject) {
		for _, attr := range set {
			if shortName(attr.Type) == short || attr.Type.String() == name {
				found, value = true, attr.Value
			}
		}
	}
	if !found {
		return "", fmt.Errorf("certificate subject has no %s", name)
	}
	return value, nil
}

// altName returns the last mail address of an extension of alternative names, else its last DNS name, else its last URI.
func altName(cert *x509.Certificate, extension asn1.ObjectIdentifier) (string, error) {
	value, _ := certs.Extension(cert, extension)
	names, _ := certs.GeneralNames(value) // as far as they can be read
	found := make(map[int]string)
	for _, n := range names {
		found[n.Kind] = n.Text()
	}
	for _, kind := range []int{certs.KindEmail, certs.KindDNS, certs.KindURI} {
		if name := found[kind]; name != "" {
			return name, nil
		}
	}
	return "", errors.New("certificate has no mail address, DNS name or URI among its alternative names")
}
