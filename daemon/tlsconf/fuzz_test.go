package tlsconf_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// FuzzPeer gives a server with every check on what a stranger may send as certificates: one, with another behind it. Whatever
// passes was signed by the authority, byte for byte.
func FuzzPeer(f *testing.F) {
	var ca []byte
	good := map[string]bool{}
	for _, file := range []string{"names", "purposes", "extensions", "chains"} {
		a, err := txtar.ParseFile("testdata/judged/" + file + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range a.Files {
			b, rest := pem.Decode(c.Data)
			if b == nil {
				continue
			}
			if ca == nil && bytes.HasSuffix([]byte(c.Name), []byte("ca.pem")) {
				ca = c.Data
			}
			second, _ := pem.Decode(rest)
			if second == nil {
				second = &pem.Block{}
			}
			f.Add(b.Bytes, second.Bytes)
			for _, der := range [][]byte{b.Bytes, second.Bytes} {
				if cert, err := certs.Parse(der); err == nil {
					good[string(cert.RawTBSCertificate)] = true
				}
			}
		}
	}
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	own := issue(f, "server", nil, server)
	c, err := tlsconf.Build(tlsconf.Options{
		CA: ca, Server: true, Cert: own.pem, External: &tlsconf.External{}, Time: func() time.Time { return at },
		Verify: tlsconf.Verify{EKU: "clientAuth", KU: []uint32{0x80}, NSType: "client", UsernameFields: []string{"CN|ext:subjectAltName", "serialNumber"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var state tls.ConnectionState
		for _, der := range [][]byte{first, second} {
			if cert, err := certs.Parse(der); err == nil { // what is none ends the handshake before this
				state.PeerCertificates = append(state.PeerCertificates, cert)
			}
		}
		hooks := tlsconf.Hooks{
			Step: func(s tlsconf.Step) {
				if s.Cert != nil {
					tlsconf.Parts(s.Cert)
				}
				for _, r := range s.Line {
					if r < 0x20 {
						t.Fatalf("control character in the log: %q", s.Line)
					}
				}
			},
			Chain: func(chain []*x509.Certificate) {
				if len(chain) < 2 {
					t.Fatal("a chain of one")
				}
				if !good[string(chain[0].RawTBSCertificate)] {
					t.Fatalf("an unsigned certificate passes: %x", chain[0].Raw)
				}
			},
		}
		err := c.TLS(hooks).VerifyConnection(state)
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
