package certs_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// blocks are the PEM blocks of a kind in the table of judged certificates.
func blocks(tb testing.TB, kind string) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("../tlsconf/testdata/judged/*.txtar")
	if err != nil || len(files) == 0 {
		tb.Fatal(err, files)
	}
	var all [][]byte
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range a.Files {
			for b, rest := pem.Decode(f.Data); b != nil; b, rest = pem.Decode(rest) {
				if b.Type == kind {
					all = append(all, b.Bytes)
				}
			}
		}
	}
	if len(all) < 100 {
		tb.Fatalf("%d blocks %s", len(all), kind)
	}
	return all
}

// agree compares with the standard library, which is the judge of what it can read.
func agree(t *testing.T, der []byte) {
	t.Helper()
	want, err := x509.ParseCertificate(der)
	if err != nil {
		return
	}
	got, err := certs.Parse(der)
	if err != nil { // the library passes over garbage behind the last field; TestJudgedByStock holds what has to be read
		return
	}
	check := func(field string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: got %v, want %v\n%x", field, a, b, der)
		}
	}
	check("Raw", got.Raw, want.Raw)
	check("RawTBSCertificate", got.RawTBSCertificate, want.RawTBSCertificate)
	check("RawSubject", got.RawSubject, want.RawSubject)
	check("RawIssuer", got.RawIssuer, want.RawIssuer)
	check("RawSubjectPublicKeyInfo", got.RawSubjectPublicKeyInfo, want.RawSubjectPublicKeyInfo)
	check("Version", got.Version, want.Version)
	if !got.NotBefore.IsZero() && !got.NotAfter.IsZero() { // the library takes forms that stock refuses
		check("NotBefore", got.NotBefore, want.NotBefore)
		check("NotAfter", got.NotAfter, want.NotAfter)
	}
	check("SubjectKeyId", string(got.SubjectKeyId), string(want.SubjectKeyId))
	check("AuthorityKeyId", string(got.AuthorityKeyId), string(want.AuthorityKeyId))
	names, _ := certs.Extension(got, certs.OIDSubjectAltName)
	if bytes.IndexByte(names, 0xa1) < 0 && bytes.IndexByte(names, 0xa2) < 0 { // the library passes over names in parts
		check("DNSNames", got.DNSNames, want.DNSNames)
		check("EmailAddresses", got.EmailAddresses, want.EmailAddresses)
	}
	if _, err := certs.BasicConstraints(got); err == nil && !certs.Twice(got) { // else refused, as by stock
		check("IsCA", got.IsCA, want.IsCA)
	}
	if got.SerialNumber.Cmp(want.SerialNumber) != 0 {
		t.Errorf("serial number %v, want %v", got.SerialNumber, want.SerialNumber)
	}
	if pub, ok := want.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && !pub.Equal(got.PublicKey) {
		t.Errorf("key %v, want %v", got.PublicKey, want.PublicKey)
	}
	if want.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		check("SignatureAlgorithm", got.SignatureAlgorithm, want.SignatureAlgorithm)
	}
	usage, _, err := certs.KeyUsage(got)
	var bits x509.KeyUsage
	for i := range 9 {
		if usage>>(7-i%8+8*(i/8))&1 == 1 {
			bits |= 1 << i
		}
	}
	if err == nil && !certs.Twice(got) && want.Version == 3 && bits != want.KeyUsage {
		t.Errorf("key usage %#x, want %#x", int(bits), int(want.KeyUsage))
	}
}

func TestAgreesWithTheLibrary(t *testing.T) {
	for _, der := range blocks(t, "CERTIFICATE") {
		agree(t, der)
	}
}

// Names cut at every byte, and the whole of a certificate: an error or a shorter name, never a panic.
func TestCut(t *testing.T) {
	for _, der := range blocks(t, "CERTIFICATE")[:40] {
		whole, err := certs.Parse(der)
		if err != nil {
			continue
		}
		for n := range len(whole.Raw) {
			if _, err := certs.Parse(whole.Raw[:n]); err == nil {
				t.Fatalf("%d of %d bytes are taken for a certificate", n, len(whole.Raw))
			}
		}
		for n := range len(whole.RawSubject) {
			certs.Names(whole.RawSubject[:n])
		}
		if again, err := certs.Parse(append(bytes.Clone(der), "trailing"...)); err != nil || !bytes.Equal(again.Raw, whole.Raw) {
			t.Errorf("bytes behind the certificate: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, der := range blocks(f, "CERTIFICATE") {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		agree(t, der)
		c, err := certs.Parse(der)
		if err != nil {
			return
		}
		if !bytes.Contains(der, c.RawTBSCertificate) {
			t.Fatal("the signed body is not in the input")
		}
		again, err := certs.Parse(c.Raw)
		if err != nil || !bytes.Equal(again.Raw, c.Raw) || !bytes.Equal(again.RawSubject, c.RawSubject) || !bytes.Equal(again.Signature, c.Signature) {
			t.Fatalf("Raw is another certificate: %v", err)
		}
		certs.Canonical(c.RawSubject)
		certs.UnknownCritical(c)
		certs.Twice(c)
		certs.Breaks(c, c, true)
		_, _, _ = certs.ExtKeyUsage(c)
		_, _, _ = certs.NetscapeType(c)
		if certs.CheckSignature(c, c) == nil && c.PublicKey == nil {
			t.Fatal("a signature fits no key")
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, der := range blocks(f, "X509 CRL") {
		f.Add(der)
	}
	authority, err := certs.Parse(blocks(f, "CERTIFICATE")[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := certs.ParseList(der)
		want, stdErr := x509.ParseRevocationList(der)
		if err != nil {
			if stdErr == nil {
				t.Fatalf("the library reads it, we do not: %v", err)
			}
			return
		}
		l.SpeaksOf(authority)
		_ = l.SignedBy(authority)
		if stdErr != nil {
			return
		}
		for _, e := range want.RevokedCertificateEntries {
			if e.ReasonCode != 8 && !l.Revoked(&x509.Certificate{SerialNumber: e.SerialNumber}) {
				t.Fatalf("%v is on the list and not revoked", e.SerialNumber)
			}
		}
	})
}

func FuzzSameName(f *testing.F) {
	for _, der := range blocks(f, "CERTIFICATE") {
		if c, err := certs.Parse(der); err == nil {
			f.Add(c.RawSubject, c.RawIssuer)
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if !certs.SameName(a, a) || certs.SameName(a, b) != certs.SameName(b, a) {
			t.Fatal("not an equality")
		}
		if len(certs.Names(a)) != len(certs.Names(b)) && certs.SameName(a, b) {
			t.Fatal("names of different length are equal")
		}
	})
}

func FuzzGeneralNames(f *testing.F) {
	f.Add([]byte{0x30, 3, 0x82, 1, 'x'})
	f.Fuzz(func(t *testing.T, value []byte) {
		names, _ := certs.GeneralNames(value)
		for _, n := range names {
			if n.Kind < 0 || n.Kind > 31 || len(n.Value) > len(value) {
				t.Fatalf("%+v out of %x", n, value)
			}
		}
	})
}
