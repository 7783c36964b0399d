package material

import (
	"crypto/sha1" //nolint:gosec // a fingerprint that scripts are used to
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Vars are the script variables of a certificate at a depth of the chain, "name=value", in stock's order.
//
// Rule: docs/protocol.md#84-environment-of-scripts.
func Vars(depth int, cert *x509.Certificate) []string {
	serial := cert.SerialNumber
	sum1, sum256 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw) //nolint:gosec // as above
	var vars []string
	seen := make(map[string]int)
	for _, part := range tlsconf.Parts(cert) {
		if part.Name[0] >= '0' && part.Name[0] <= '9' { // an attribute without a name
			continue
		}
		name := fmt.Sprintf("X509_%d_%s", depth, part.Name)
		if n := seen[part.Name]; n > 0 {
			name = fmt.Sprintf("%s_%d", name, n)
		}
		seen[part.Name]++
		vars = append(vars, name+"="+message.Remap(part.Value))
	}
	return append(vars,
		fmt.Sprintf("tls_id_%d=%s", depth, tlsconf.Subject(cert)),
		fmt.Sprintf("tls_digest_%d=%s", depth, colonHex(sum1[:])),
		fmt.Sprintf("tls_digest_sha256_%d=%s", depth, colonHex(sum256[:])),
		fmt.Sprintf("tls_serial_%d=%s", depth, serial),
		fmt.Sprintf("tls_serial_hex_%d=%s", depth, colonHex(serial.Bytes())),
	)
}

// colonHex prints bytes as aa:bb:cc.
func colonHex(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}
