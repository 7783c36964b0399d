package certs

import (
	"encoding/asn1"
	"math"
)

// oid reads the content of an OBJECT IDENTIFIER. One with an arc that no int holds, or cut off, gets the arc 0 in its place and
// -1 at its end: no identifier of ours is equal to it.
func oid(content []byte) asn1.ObjectIdentifier {
	var id asn1.ObjectIdentifier
	arc, open, bad := 0, false, len(content) == 0
	for _, b := range content {
		if arc > math.MaxInt32>>7 {
			arc, bad = 0, true
		}
		arc, open = arc<<7|int(b&0x7f), b&0x80 != 0
		if open {
			continue
		}
		if id == nil {
			first := min(arc/40, 2)
			id, arc = append(id, first), arc-40*first
		}
		id, arc = append(id, arc), 0
	}
	if bad || open {
		return append(id, -1)
	}
	return id
}

// Extensions of certificates and lists that are looked at.
var (
	OIDSubjectKeyID      = asn1.ObjectIdentifier{2, 5, 29, 14}
	OIDKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 15}
	OIDSubjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}
	OIDIssuerAltName     = asn1.ObjectIdentifier{2, 5, 29, 18}
	OIDBasicConstraints  = asn1.ObjectIdentifier{2, 5, 29, 19}
	OIDDeltaCRL          = asn1.ObjectIdentifier{2, 5, 29, 27}
	OIDDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	OIDNameConstraints   = asn1.ObjectIdentifier{2, 5, 29, 30}
	OIDAuthorityKeyID    = asn1.ObjectIdentifier{2, 5, 29, 35}
	OIDExtKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 37}
	OIDNetscapeType      = asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 1}
	OIDProxy             = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 14}

	oidDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidCommonName         = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmail              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)
