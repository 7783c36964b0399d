package server

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// identity is who a client is and what its software says of itself. The first handshake and the first login fix it; after
// that only override-username changes a name.
type identity struct {
	commonName string
	username   string
	loginName  string // user name of the first login, which override-username may have replaced

	chain    [sha256.Size]byte   // digest of the certificates the client sent
	serial   string              // of the client's certificate in decimal digits
	certName string              // the common name that they give
	found    []*x509.Certificate // the chain that was found, until certVars are made of it
	certVars []string            // "name=value" of the certificates

	info message.PeerInfo
	occ  string // options string
}

// tlsUp notes what a handshake tells about a client. Its certificates are verified by now.
func (s *setup) tlsUp(i *instance, e control.TLSUp) {
	certs, verified := e.State.PeerCertificates, i.verified.Swap(nil)
	i.logins.channel = tlsconf.Describe(&e.State)
	if s.Compat.LogsKeyAgreement() {
		i.logins.channel = tlsconf.Describe27(&e.State, true)
	}
	if e.KeyID == 0 {
		i.logins.doubt = i.certify(s, certs, verified)
	} else {
		i.logins.doubt = i.changed(s, certs)
		if i.logins.doubt == nil && i.found != nil && verified != nil {
			i.found = *verified // the same, and those of the TLS connection that stays
		}
	}
}

// certify takes the identity from the certificates of the first handshake: those that the client sent, and the chain that was
// found, nil without one.
func (d *identity) certify(set *setup, sent []*x509.Certificate, chain *[]*x509.Certificate) error {
	d.chain = chainDigest(sent)
	if len(sent) == 0 || chain == nil {
		return nil
	}
	name, err := tlsconf.Username(sent[0], set.X509UsernameFields)
	if err != nil || len(name) > maxCommonName {
		return refusedFor("TLS Auth Error: certificate without a usable common name")
	}
	d.certName = message.Remap(name)
	d.commonName = d.certName
	d.found = *chain
	d.serial = sent[0].SerialNumber.String()
	return nil
}

// variables are the script variables of the certificates. They are made for the first that asks: most servers have no scripts.
func (d *identity) variables(set *setup) []string {
	if d.found != nil {
		d.certVars, d.found = set.certificateVars(d.found), nil
	}
	return d.certVars
}

// maxCommonName is the longest common name, in bytes.
const maxCommonName = 64

// changed refuses a renewal with other certificates than the client came with.
func (d *identity) changed(set *setup, certs []*x509.Certificate) error {
	if d.chain == chainDigest(certs) {
		return nil
	}
	if len(certs) > 0 && !set.UsernameAsCommonName {
		if name, err := tlsconf.Username(certs[0], set.X509UsernameFields); err == nil && message.Remap(name) != d.certName {
			return refusedFor(fmt.Sprintf("TLS Auth Error: TLS object CN attempted to change from '%s' to '%s' -- tunnel disabled", d.certName, message.Remap(name)))
		}
	}
	return refusedFor(fmt.Sprintf("TLS Auth Error: TLS object CN=%s client-provided SSL certs unexpectedly changed during mid-session reauth", d.commonName))
}

// chainDigest identifies the certificates of a peer.
func chainDigest(certs []*x509.Certificate) [sha256.Size]byte {
	d := sha256.New()
	for _, c := range certs {
		d.Write(c.Raw)
	}
	return [sha256.Size]byte(d.Sum(nil))
}

// takesName reports whether the login of a key gives the client its common name. A client that logs in without a name has none
// then, whatever its certificate says.
func (s *setup) takesName(keyID uint8) bool {
	return s.UsernameAsCommonName && keyID == 0 && s.needsCredentials()
}
