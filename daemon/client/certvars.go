package client

import (
	"crypto/sha1" //nolint:gosec // the digest scripts have always been given
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// certVars are the script variables of a certificate at a depth of the chain.
//
//	tls_id_N  X509_N_FIELD  tls_digest_N  tls_digest_sha256_N  tls_serial_N  tls_serial_hex_N
func certVars(depth int, cert *x509.Certificate, subject string) map[string]string {
	one, two := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw) //nolint:gosec // see the import
	vars := map[string]string{
		fmt.Sprintf("tls_id_%d", depth):            subject,
		fmt.Sprintf("tls_digest_%d", depth):        colonHex(one[:]),
		fmt.Sprintf("tls_digest_sha256_%d", depth): colonHex(two[:]),
		fmt.Sprintf("tls_serial_%d", depth):        cert.SerialNumber.String(),
		fmt.Sprintf("tls_serial_hex_%d", depth):    colonHex(serialBytes(cert)),
	}
	for _, part := range cert.Subject.Names {
		field, value := subjectPart(part)
		name := fmt.Sprintf("X509_%d_%s", depth, field)
		for i := 1; ; i++ {
			if _, taken := vars[name]; !taken {
				break
			}
			name = fmt.Sprintf("X509_%d_%s_%d", depth, field, i)
		}
		vars[name] = value
	}
	return vars
}

// serialBytes is the serial number as the certificate has it, at least one byte.
func serialBytes(cert *x509.Certificate) []byte {
	return cert.SerialNumber.FillBytes(make([]byte, max((cert.SerialNumber.BitLen()+7)/8, 1)))
}

// subjectPart is one attribute of a subject: its short name and value.
func subjectPart(part pkix.AttributeTypeAndValue) (name, value string) {
	raw, err := asn1.Marshal(pkix.RDNSequence{{part}})
	if err != nil {
		return part.Type.String(), fmt.Sprint(part.Value)
	}
	name, value, _ = strings.Cut(tlsconf.DN(raw), "=")
	return name, value
}
