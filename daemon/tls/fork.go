package tls

import (
	"crypto/x509"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// Version is the toolchain whose crypto/tls the fork is made from. TestFork makes it, and holds it to the edits listed there.
const Version = "go1.26.8"

// parseCertificate reads a certificate without judging it.
func parseCertificate(der []byte) (*x509.Certificate, error) { return certs.Parse(der) }

// PeerSignature is the algorithm of the signature by which the peer proved its key, 0 when it showed no certificate.
func (cs *ConnectionState) PeerSignature() SignatureScheme {
	return cs.testingOnlyPeerSignatureAlgorithm
}
