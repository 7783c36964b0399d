package tlsconf

import "crypto/x509"

// Part is one attribute of a name.
type Part struct{ Name, Value string }

// Parts returns the attributes of a certificate's subject in its order, by their short names.
func Parts(cert *x509.Certificate) []Part {
	var parts []Part
	for _, set := range sets(cert.RawSubject) {
		for _, attr := range set {
			parts = append(parts, Part{shortName(attr.Type), text(attr.Value)})
		}
	}
	return parts
}
