package tlsconf

import (
	"crypto/x509"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// Part is one attribute of a name.
type Part struct{ Name, Value string }

// Parts returns the attributes of a certificate's subject in its order, by their short names.
func Parts(cert *x509.Certificate) []Part {
	var parts []Part
	for _, set := range certs.Names(cert.RawSubject) {
		for _, attr := range set {
			parts = append(parts, Part{shortName(attr.Type), attr.Value})
		}
	}
	return parts
}
