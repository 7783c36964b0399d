package tlsconf_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// issued is a certificate made for a test, with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// shown is a connection whose peer shows a certificate.
func (i *issued) shown() tls.ConnectionState {
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{i.cert}}
}

// issue makes a certificate; nil by means self-signed. change edits the template.
func issue(t testing.TB, cn string, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serials++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	if change != nil {
		change(tmpl)
	}
	if by == nil {
		by = &issued{cert: tmpl, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

var serials int64 = 100

func ca(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func server(c *x509.Certificate) {
	c.Subject = pkix.Name{Country: []string{"DE"}, Organization: []string{"Org, Inc"}, CommonName: c.Subject.CommonName}
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func (i *issued) crl(t *testing.T, next time.Time, revoked ...*issued) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: next}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Hour),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verify runs the checks of a client on what a server sends, and returns the log lines.
func verify(t *testing.T, o tlsconf.Options, sent ...*issued) ([]string, error) {
	t.Helper()
	c, err := tlsconf.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	var state tls.ConnectionState
	for _, s := range sent {
		state.PeerCertificates = append(state.PeerCertificates, s.cert)
	}
	cfg := c.TLS(tlsconf.Hooks{Step: func(s tlsconf.Step) {
		if s.Line != "" {
			lines = append(lines, s.Line)
		}
	}})
	err = cfg.VerifyConnection(state)
	return lines, err
}

// The lines below are what OpenVPN 2.6 with OpenSSL 3.0 logs in the same situations, but for serial numbers.
func TestVerify(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	other := issue(t, "Other CA", nil, ca)
	namesake := issue(t, "Lab CA", nil, ca)
	inter := issue(t, "Inter CA", root, ca)
	good := issue(t, "server", root, server)
	below := issue(t, "server", inter, server)
	foreign := issue(t, "server", other, server)
	expired := issue(t, "server", root, func(c *x509.Certificate) { server(c); c.NotAfter = time.Now().Add(-time.Minute) })
	future := issue(t, "server", root, func(c *x509.Certificate) { server(c); c.NotBefore = time.Now().Add(time.Minute) })
	asClient := issue(t, "server", root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	bare := issue(t, "server", root, nil)
	self := issue(t, "selfie", nil, nil)
	notCA := issue(t, "leaf", root, nil)
	belowLeaf := issue(t, "server", &issued{cert: notCA.cert, key: notCA.key}, server)
	nameless := issue(t, "", root, nil)
	sum := func(i *issued) []byte { s := sha256.Sum256(i.cert.Raw); return s[:] }
	next := time.Now().Add(time.Hour)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, good.cert.SerialNumber.String()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const dn = "C=DE, O=Org, Inc, CN=server"
	const rootOK, goodOK = "VERIFY OK: depth=1, CN=Lab CA", "VERIFY OK: depth=0, " + dn
	verifyError := func(depth int, reason, subject string, c *issued) string {
		return fmt.Sprintf("VERIFY ERROR: depth=%d, error=%s: %s, serial=%s", depth, reason, subject, c.cert.SerialNumber)
	}
	for _, tt := range []struct {
		name  string
		sent  []*issued
		ca    []byte // root's when empty, none when "-"
		v     tlsconf.Verify
		prof  string
		lines []string
		ok    bool
	}{
		{name: "good", sent: []*issued{good}, lines: []string{rootOK, goodOK}, ok: true},
		{
			name: "remote-cert-tls", sent: []*issued{good}, v: tlsconf.Verify{RemoteCertTLS: "server"}, ok: true,
			lines: []string{
				rootOK, "VERIFY KU OK", "Validating certificate extended key usage",
				"++ Certificate has EKU (str) TLS Web Server Authentication, expects TLS Web Server Authentication", "VERIFY EKU OK", goodOK,
			},
		},
		{name: "other authority", sent: []*issued{foreign}, lines: []string{verifyError(0, "unable to get local issuer certificate", dn, foreign)}},
		{name: "authority of the same name", sent: []*issued{good}, ca: namesake.pem, lines: []string{verifyError(0, "unable to get local issuer certificate", dn, good)}},
		{name: "expired", sent: []*issued{expired}, lines: []string{rootOK, verifyError(0, "certificate has expired", dn, expired)}},
		{name: "not yet valid", sent: []*issued{future}, lines: []string{rootOK, verifyError(0, "certificate is not yet valid", dn, future)}},
		{name: "a client's certificate", sent: []*issued{asClient}, lines: []string{verifyError(0, "unsuitable certificate purpose", "CN=server", asClient)}},
		{name: "no usage", sent: []*issued{bare}, lines: []string{rootOK, "VERIFY OK: depth=0, CN=server"}, ok: true},
		{
			name: "no usage but remote-cert-tls", sent: []*issued{bare}, v: tlsconf.Verify{RemoteCertTLS: "server"},
			lines: []string{rootOK, "Certificate does not have key usage extension", "VERIFY KU ERROR"},
		},
		{
			name: "remote-cert-ku", sent: []*issued{good}, v: tlsconf.Verify{KU: []uint32{0x08, 0xa0}}, ok: true,
			lines: []string{rootOK, "Validating certificate key usage", "VERIFY KU OK", goodOK},
		},
		{
			name: "remote-cert-ku refuses", sent: []*issued{good}, v: tlsconf.Verify{KU: []uint32{0x08, 0x07}},
			lines: []string{rootOK, "Validating certificate key usage", "ERROR: Certificate has key usage 00a0, expected one of:", " * 0008", " * 0007", "VERIFY KU ERROR"},
		},
		{
			name: "remote-cert-eku by id", sent: []*issued{good}, v: tlsconf.Verify{EKU: "1.3.6.1.5.5.7.3.1"}, ok: true,
			lines: []string{
				rootOK, "Validating certificate extended key usage",
				"++ Certificate has EKU (str) TLS Web Server Authentication, expects 1.3.6.1.5.5.7.3.1",
				"++ Certificate has EKU (oid) 1.3.6.1.5.5.7.3.1, expects 1.3.6.1.5.5.7.3.1", "VERIFY EKU OK", goodOK,
			},
		},
		{
			name: "remote-cert-eku refuses", sent: []*issued{good}, v: tlsconf.Verify{EKU: "TLS Web Client Authentication"},
			lines: []string{
				rootOK, "Validating certificate extended key usage",
				"++ Certificate has EKU (str) TLS Web Server Authentication, expects TLS Web Client Authentication",
				"++ Certificate has EKU (oid) 1.3.6.1.5.5.7.3.1, expects TLS Web Client Authentication", "VERIFY EKU ERROR",
			},
		},
		{name: "name", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "server", X509NameType: tlsconf.FieldName}, lines: []string{rootOK, "VERIFY X509NAME OK: " + dn, goodOK}, ok: true},
		{name: "subject", sent: []*issued{good}, v: tlsconf.Verify{X509Name: dn}, lines: []string{rootOK, "VERIFY X509NAME OK: " + dn, goodOK}, ok: true},
		{name: "prefix", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "ser", X509NameType: tlsconf.FieldPrefix}, lines: []string{rootOK, "VERIFY X509NAME OK: " + dn, goodOK}, ok: true},
		{name: "other subject", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "server"}, lines: []string{rootOK, "VERIFY X509NAME ERROR: " + dn + ", must be server"}},
		{name: "other name", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "serve", X509NameType: tlsconf.FieldName, WholeSubject: true}, lines: []string{rootOK, "VERIFY X509NAME ERROR: " + dn + ", must be serve"}},
		{name: "other name, as 2.7 says it", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "serve", X509NameType: tlsconf.FieldName}, lines: []string{rootOK, "VERIFY X509NAME ERROR: server, must be serve"}},
		{name: "other prefix", sent: []*issued{good}, v: tlsconf.Verify{X509Name: "sex", X509NameType: tlsconf.FieldPrefix, WholeSubject: true}, lines: []string{rootOK, "VERIFY X509NAME ERROR: " + dn + ", must be sex"}},
		{
			name: "no such field", sent: []*issued{good}, v: tlsconf.Verify{UsernameFields: []string{"OU"}},
			lines: []string{rootOK, "VERIFY ERROR: could not extract OU from X509 subject string ('" + dn + "') -- note that the field length is limited to 64 characters"},
		},
		{name: "nameless", sent: []*issued{nameless}, lines: []string{rootOK, "VERIFY ERROR: could not extract CN from X509 subject string ('') -- note that the field length is limited to 64 characters"}},
		{name: "fingerprint", sent: []*issued{good}, v: tlsconf.Verify{Fingerprints: [][]byte{sum(bare), sum(good)}}, lines: []string{rootOK, goodOK}, ok: true},
		{
			name: "other fingerprint", sent: []*issued{good}, v: tlsconf.Verify{Fingerprints: [][]byte{sum(bare)}},
			lines: []string{rootOK, "TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got fingerprint: " + tlsconf.Fingerprint(sum(good))},
		},
		{name: "fingerprint alone", sent: []*issued{self}, ca: []byte("-"), v: tlsconf.Verify{Fingerprints: [][]byte{sum(self)}}, lines: []string{"VERIFY OK: depth=0, CN=selfie"}, ok: true},
		{name: "fingerprint alone, expired", sent: []*issued{expired}, ca: []byte("-"), v: tlsconf.Verify{Fingerprints: [][]byte{sum(expired)}}, lines: []string{goodOK}, ok: true},
		{
			name: "other fingerprint alone", sent: []*issued{self}, ca: []byte("-"), v: tlsconf.Verify{Fingerprints: [][]byte{sum(good)}},
			lines: []string{"TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got fingerprint: " + tlsconf.Fingerprint(sum(self))},
		},
		{name: "nothing to trust", sent: []*issued{self}, ca: []byte("-"), lines: []string{verifyError(0, "unable to get local issuer certificate", "CN=selfie", self)}},
		{name: "self-signed", sent: []*issued{self}, lines: []string{verifyError(0, "self-signed certificate", "CN=selfie", self)}},
		{name: "foreign root sent along", sent: []*issued{foreign, other}, lines: []string{verifyError(1, "self-signed certificate in certificate chain", "CN=Other CA", other)}},
		{name: "link missing", sent: []*issued{below}, lines: []string{verifyError(0, "unable to get local issuer certificate", dn, below)}},
		{name: "three deep", sent: []*issued{below, inter}, lines: []string{"VERIFY OK: depth=2, CN=Lab CA", "VERIFY OK: depth=1, CN=Inter CA", goodOK}, ok: true},
		{name: "link from the CA file", sent: []*issued{below}, ca: append(root.pem, inter.pem...), lines: []string{"VERIFY OK: depth=2, CN=Lab CA", "VERIFY OK: depth=1, CN=Inter CA", goodOK}, ok: true},
		{name: "CA file without root", sent: []*issued{below}, ca: inter.pem, lines: []string{verifyError(1, "unable to get issuer certificate", "CN=Inter CA", inter)}},
		{name: "signed by a leaf", sent: []*issued{belowLeaf, notCA}, lines: []string{verifyError(1, "invalid CA certificate", "CN=leaf", notCA)}},
		{name: "verify-hash", sent: []*issued{good}, v: tlsconf.Verify{Hashes: [][]byte{sum(root)}}, lines: []string{rootOK, goodOK}, ok: true},
		{name: "verify-hash of one of two", sent: []*issued{good}, v: tlsconf.Verify{Hashes: [][]byte{sum(good), sum(root)}}, lines: []string{rootOK, goodOK}, ok: true},
		{
			name: "verify-hash refuses", sent: []*issued{good}, v: tlsconf.Verify{Hashes: [][]byte{sum(good)}},
			lines: []string{"TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got fingerprint: " + tlsconf.Fingerprint(sum(root))},
		},
		{name: "suiteb", sent: []*issued{good}, prof: "suiteb", lines: []string{rootOK, goodOK}, ok: true},
		{name: "crl", sent: []*issued{good}, v: tlsconf.Verify{CRL: root.crl(t, next)}, lines: []string{rootOK, goodOK}, ok: true},
		{name: "revoked", sent: []*issued{good}, v: tlsconf.Verify{CRL: root.crl(t, next, good)}, lines: []string{verifyError(0, "certificate revoked", dn, good)}},
		{name: "authority revoked", sent: []*issued{below, inter}, v: tlsconf.Verify{CRL: append(root.crl(t, next, inter), inter.crl(t, next)...)}, lines: []string{verifyError(1, "certificate revoked", "CN=Inter CA", inter)}},
		{name: "crl expired", sent: []*issued{good}, v: tlsconf.Verify{CRL: root.crl(t, time.Now().Add(-time.Minute))}, lines: []string{verifyError(0, "CRL has expired", dn, good)}},
		{name: "crl forged", sent: []*issued{good}, v: tlsconf.Verify{CRL: namesake.crl(t, next)}, lines: []string{verifyError(0, "CRL signature failure", dn, good)}},
		{
			name: "crl of another", sent: []*issued{good}, v: tlsconf.Verify{CRL: other.crl(t, next)}, ok: true,
			lines: []string{"VERIFY WARNING: depth=0, unable to get certificate CRL: " + dn, "VERIFY WARNING: depth=1, unable to get certificate CRL: CN=Lab CA", rootOK, goodOK},
		},
		{name: "no crl at all", sent: []*issued{good}, v: tlsconf.Verify{CRLFile: write(t, "empty.crl", nil)}, lines: []string{"CRL: cannot read CRL from file " + "*", verifyError(0, "unable to get certificate CRL", dn, good)}},
		{name: "crl folder", sent: []*issued{good}, v: tlsconf.Verify{CRLDir: dir}, lines: []string{rootOK, "VERIFY CRL: depth=0, " + dn + ", serial=" + good.cert.SerialNumber.String() + " is revoked"}},
		{name: "crl folder, another", sent: []*issued{bare}, v: tlsconf.Verify{CRLDir: dir}, lines: []string{rootOK, "VERIFY OK: depth=0, CN=server"}, ok: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tlsconf.Options{CA: root.pem, Verify: tt.v, Profile: tt.prof}
			switch string(tt.ca) {
			case "":
			case "-":
				o.CA = nil
			default:
				o.CA = tt.ca
			}
			lines, err := verify(t, o, tt.sent...)
			for i, l := range lines {
				if strings.HasPrefix(l, "CRL: cannot read") {
					lines[i] = "CRL: cannot read CRL from file *"
				}
			}
			if diff := cmp.Diff(tt.lines, lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			var ve *tlsconf.VerifyError
			if (err == nil) != tt.ok || err != nil && !errors.As(err, &ve) {
				t.Errorf("verify: %v, want success %v", err, tt.ok)
			}
		})
	}
}

// A list in a file is read again when it changes, and what was read stays when the file goes away.
func TestCRLReload(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	leaf := issue(t, "server", root, server)
	path := write(t, "list.crl", root.crl(t, time.Now().Add(time.Hour)))
	c, err := tlsconf.Build(tlsconf.Options{CA: root.pem, Verify: tlsconf.Verify{CRLFile: path}})
	if err != nil {
		t.Fatal(err)
	}
	check := func() error { return c.TLS(tlsconf.Hooks{}).VerifyConnection(leaf.shown()) }
	if err := check(); err != nil {
		t.Fatalf("before: %v", err)
	}
	if err := os.WriteFile(path, root.crl(t, time.Now().Add(time.Hour), leaf), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(); err == nil || !strings.Contains(err.Error(), "certificate revoked") {
		t.Errorf("after the list changed: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := check(); err == nil || !strings.Contains(err.Error(), "certificate revoked") {
		t.Errorf("after the list disappeared: %v", err)
	}
}

// The hook sees the chain from the top and has the last word.
func TestHook(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	leaf := issue(t, "server", root, server)
	c, err := tlsconf.Build(tlsconf.Options{CA: root.pem})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	no := errors.New("no")
	cfg := c.TLS(tlsconf.Hooks{Cert: func(depth int, _ *x509.Certificate, subject string) error {
		seen = append(seen, fmt.Sprintf("%d %s", depth, subject))
		if depth == 0 {
			return no
		}
		return nil
	}})
	if err := cfg.VerifyConnection(leaf.shown()); !errors.Is(err, no) {
		t.Errorf("verify: %v, want the hook's error", err)
	}
	if diff := cmp.Diff([]string{"1 CN=Lab CA", "0 C=DE, O=Org, Inc, CN=server"}, seen); diff != "" {
		t.Errorf("hook saw (-want +got):\n%s", diff)
	}
}

func TestUsername(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	cert := issue(t, "last", root, func(c *x509.Certificate) {
		c.SerialNumber = big.NewInt(0xfbeef)
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "first"},
			{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@b.c"},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "la\x01st"},
			{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Ünï"},
			{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "odd"},
		}}
		c.EmailAddresses = []string{"one@x.y", "two@x.y"}
	}).cert
	if got, want := tlsconf.Subject(cert), `CN=first, emailAddress=a@b.c, CN=la\01st, O=Ünï, 1.2.3.4=odd`; got != want {
		t.Errorf("Subject = %q, want %q", got, want)
	}
	for _, tt := range []struct {
		fields string
		want   string // empty: an error
	}{
		{"", "la_st"},
		{"CN", "la_st"},
		{"commonName", "la_st"},
		{"emailAddress", "a@b.c"},
		{"serialNumber", "0x0FBEEF"},
		{"CN O", "la_st_Ünï"},
		{"ext:subjectAltName", "two@x.y"},
		{"ext:issuerAltName", ""},
		{"OU", ""},
		{"OU|CN", "la_st"},
		{"CN|OU", "la_st"},
		{"OU|ext:issuerAltName|ext:subjectAltName O", "two@x.y_Ünï"},
		{"OU|ext:issuerAltName", ""},
	} {
		got, err := tlsconf.Username(cert, strings.Fields(tt.fields))
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("Username(%q) = %q, %v, want %q", tt.fields, got, err, tt.want)
		}
	}
	long := issue(t, "x", root, func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 65) }).cert
	if got, err := tlsconf.Username(long, nil); err == nil {
		t.Errorf("65 bytes pass as %q", got)
	}
}

// A certificate without a subject has a name when x509-username-field asks its alternative names for one.
func TestUsernameFromAltNames(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	for _, tt := range []struct {
		name  string
		alter func(*x509.Certificate)
		want  string // empty: refused
	}{
		{"DNS name", func(c *x509.Certificate) { c.DNSNames = []string{"laptop.example"} }, "laptop.example"},
		{"mail first", func(c *x509.Certificate) {
			c.DNSNames, c.EmailAddresses = []string{"laptop.example"}, []string{"jo@example.org"}
		}, "jo@example.org"},
		{"URI", func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "x", Path: "/jo"}} }, "spiffe://x/jo"},
		{"common name first", func(c *x509.Certificate) {
			c.Subject.CommonName, c.DNSNames = "jo", []string{"laptop.example"}
		}, "jo"},
		{"too long", func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("a.", 40) + "example"} }, ""},
		{"nothing", func(*x509.Certificate) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf := issue(t, "", root, func(c *x509.Certificate) { c.Subject = pkix.Name{}; tt.alter(c) })
			fields := []string{"CN|ext:subjectAltName"}
			_, err := verify(t, tlsconf.Options{CA: root.pem, Verify: tlsconf.Verify{UsernameFields: fields}}, leaf)
			got, _ := tlsconf.Username(leaf.cert, fields)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("name %q, verify: %v, want %q", got, err, tt.want)
			}
			if len(leaf.cert.Subject.CommonName) == 0 {
				if _, err := verify(t, tlsconf.Options{CA: root.pem}, leaf); err == nil {
					t.Error("without the option it passes")
				}
			}
		})
	}
}

// A signature that is checked once is not what a certificate is accepted for later: its dates, its revocation, its issuer and its
// own bytes count each time.
func TestRememberedSignature(t *testing.T) {
	root, other := issue(t, "Lab CA", nil, ca), issue(t, "Lab CA", nil, ca)
	leaf := issue(t, "server", root, server)
	now := time.Now()
	path := write(t, "list.crl", root.crl(t, now.Add(240*time.Hour)))
	c, err := tlsconf.Build(tlsconf.Options{CA: root.pem, Verify: tlsconf.Verify{CRLFile: path}, Time: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	check := func(shown tls.ConnectionState) error { return c.TLS(tlsconf.Hooks{}).VerifyConnection(shown) }
	for range 3 {
		if err := check(leaf.shown()); err != nil {
			t.Fatal(err)
		}
	}
	forged := *leaf.cert
	forged.Raw = slices.Clone(forged.Raw)
	forged.Raw[len(forged.Raw)-1] ^= 1 // in the signature
	foreign := issue(t, "server", other, server)
	for name, shown := range map[string]tls.ConnectionState{
		"another signature":               {PeerCertificates: []*x509.Certificate{&forged}},
		"another issuer of the same name": foreign.shown(),
	} {
		if err := check(shown); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	then := now
	now = leaf.cert.NotAfter.Add(time.Second)
	if err := check(leaf.shown()); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its time: %v", err)
	}
	now = then
	if err := os.WriteFile(path, root.crl(t, now.Add(time.Hour), leaf), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(leaf.shown()); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("revoked: %v", err)
	}
}

// What takes the place of a revocation list that is in force, and is none, holds no handshake up and clears nobody.
func TestRevocationListReplaced(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	revoked, good := issue(t, "revoked", root, server), issue(t, "good", root, server)
	for name, replace := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"zeros":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"null":   func(path string) error { return os.Symlink(os.DevNull, path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"none":   func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "list.crl", root.crl(t, time.Now().Add(time.Hour), revoked))
			c, err := tlsconf.Build(tlsconf.Options{CA: root.pem, Verify: tlsconf.Verify{CRLFile: path}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(path), replace(path)); err != nil {
				t.Fatal(err)
			}
			check := func(shown tls.ConnectionState) error { return c.TLS(tlsconf.Hooks{}).VerifyConnection(shown) }
			if err := check(revoked.shown()); err == nil || !strings.Contains(err.Error(), "revoked") {
				t.Errorf("revoked: %v", err)
			}
			if err := check(good.shown()); err != nil {
				t.Errorf("good: %v", err)
			}
		})
	}
}
