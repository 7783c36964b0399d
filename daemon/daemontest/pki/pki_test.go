package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

func TestIssuedCertificatesVerify(t *testing.T) {
	ca, err := pki.NewCA("Lab CA")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := pki.NewCA("Other CA")
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-48 * time.Hour)
	for _, tt := range []struct {
		name  string
		spec  pki.Spec
		by    *pki.CA
		usage x509.ExtKeyUsage
		ok    bool
	}{
		{"client", pki.Spec{Name: "c"}, ca, x509.ExtKeyUsageClientAuth, true},
		{"server rsa", pki.Spec{Name: "s", Server: true, Key: pki.RSA}, ca, x509.ExtKeyUsageServerAuth, true},
		{"ed25519", pki.Spec{Name: "e", Key: pki.Ed25519}, ca, x509.ExtKeyUsageClientAuth, true},
		{"client as server", pki.Spec{Name: "c"}, ca, x509.ExtKeyUsageServerAuth, false},
		{"expired", pki.Spec{Name: "x", NotBefore: past, NotAfter: past.Add(time.Hour)}, ca, x509.ExtKeyUsageClientAuth, false},
		{"foreign", pki.Spec{Name: "f"}, foreign, x509.ExtKeyUsageClientAuth, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf, err := tt.by.Issue(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(ca.Cert)
			_, err = leaf.Cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{tt.usage}})
			if (err == nil) != tt.ok {
				t.Errorf("verify: %v, want success %v", err, tt.ok)
			}
		})
	}
}

func TestRevocationListNamesTheRevoked(t *testing.T) {
	ca, err := pki.NewCA("Lab CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	ca.Revoke(leaf)
	crl, err := ca.CRL(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	list := parseCRL(t, crl)
	if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(leaf.Cert.SerialNumber) != 0 {
		t.Errorf("revoked = %v, want serial %v", list.RevokedCertificateEntries, leaf.Cert.SerialNumber)
	}
}

func parseCRL(t *testing.T, b []byte) *x509.RevocationList {
	t.Helper()
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatal("no PEM block")
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
