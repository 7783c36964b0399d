package tlsconf_test

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Certificates and revocation lists of all kinds, odd and good, as stock 2.6.14 judged them in handshakes, once as server and once
// as client. Where we judge otherwise the row says what we say, and why. What stock refuses for a limit in it, we refuse; what
// it cannot read, we may read; a list that stock passes over never clears anybody.
func TestJudgedByStock(t *testing.T) {
	files, err := filepath.Glob("testdata/judged/*.txtar")
	if err != nil || len(files) != 7 {
		t.Fatalf("%d files of judged certificates, %v", len(files), err)
	}
	at := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for _, path := range files {
		content, rows := table(t, path)
		for _, f := range rows {
			if len(f) != 9 {
				t.Fatalf("%s: %d fields in %q", path, len(f), f)
			}
			t.Run(f[0], func(t *testing.T) {
				o := tlsconf.Options{
					CA: content[f[4]], Profile: strings.TrimPrefix(f[2], "-"), Server: f[1] == "client",
					Time: func() time.Time { return at },
				}
				if o.Server {
					own := issue(t, "server", nil, server)
					o.External, o.Cert = &tlsconf.External{}, own.pem
				}
				if f[5] != "-" {
					o.Verify.CRLFile = filepath.Join(t.TempDir(), "list")
					if err := os.WriteFile(o.Verify.CRLFile, content[f[5]], 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want := f[7]
				if want == "=" {
					want = f[6]
				}
				if got := judge(t, o, content[f[3]]); got != want {
					t.Errorf("%s\n  got %s\n want %s\nstock %s", f[8], got, want, f[6])
				}
			})
		}
	}
}

// judge returns the verdict on what a peer sent: "OK " and its subject, "NO " and the line in the log, or "UNREAD".
func judge(t *testing.T, o tlsconf.Options, sent []byte) string {
	t.Helper()
	c, err := tlsconf.Build(o)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "UNREAD " + first
	}
	var state tls.ConnectionState
	for b, rest := pem.Decode(sent); b != nil; b, rest = pem.Decode(rest) {
		cert, err := certs.Parse(b.Bytes)
		if err != nil {
			return "UNREAD" // crypto/tls refuses it before any check of ours
		}
		state.PeerCertificates = append(state.PeerCertificates, cert)
	}
	subject, refusal := "", ""
	hooks := tlsconf.Hooks{Step: func(s tlsconf.Step) {
		switch {
		case s.Err != nil:
			refusal = s.Line
		case s.Passed && s.Depth == 0:
			subject = s.Subject
		}
	}}
	err = c.TLS(hooks).VerifyConnection(state)
	var refused *tlsconf.VerifyError
	switch {
	case err == nil && refusal == "":
		return "OK " + subject
	case errors.As(err, &refused) && refusal != "":
		return "NO " + refusal
	default:
		t.Fatalf("error %v, line %q", err, refusal)
		return ""
	}
}

// ns-cert-type asks for no more than the chain does, as with stock 2.6.14 (60 handshakes of certificates with and without each extension, in
// both roles): a certificate that says nothing of its use passes.
func TestNetscapeTypeIsStocks(t *testing.T) {
	content, all := table(t, "testdata/judged/purposes.txtar")
	rows := 0
	for _, f := range all {
		if f[5] != "-" {
			continue
		}
		rows++
		o := tlsconf.Options{CA: content[f[4]], Server: f[1] == "client", Verify: tlsconf.Verify{NSType: f[1]}}
		o.Time = func() time.Time { return time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC) }
		if o.Server {
			o.External, o.Cert = &tlsconf.External{}, issue(t, "server", nil, server).pem
		}
		if got := judge(t, o, content[f[3]]); got[:2] != f[6][:2] {
			t.Errorf("%s: got %s, without the option stock says %s", f[0], got, f[6])
		}
	}
	if rows < 100 {
		t.Errorf("%d rows", rows)
	}
}

// A certificate of our own that the profile does not take ends the start, as with stock 2.6.14 ("ca md too weak", "ee key too small"):
//
//	openvpn --tls-client --dev null --remote 127.0.0.1 9 --nobind --ca ca.crt --cert CERT --key KEY --tls-cert-profile PROFILE
func TestOwnCertificateAndProfile(t *testing.T) {
	content, _ := table(t, "testdata/judged/signatures.txtar")
	for _, tt := range []struct{ cert, profile, want string }{
		{"sig-rsa256.sent.pem", "", ""}, {"sig-rsa256.sent.pem", "preferred", ""},
		{"sig-rsa1.sent.pem", "", "ca md too weak"}, {"sig-rsa1.sent.pem", "preferred", "ca md too weak"}, {"sig-rsa1.sent.pem", "insecure", ""},
		{"sig-rsamd5.sent.pem", "", "ca md too weak"}, {"sig-rsamd5.sent.pem", "insecure", ""},
		{"sig-root-sha1.ca.pem", "", ""}, // signed by itself
		{"sig-rsa1024leaf.sent.pem", "", ""}, {"sig-rsa1024leaf.sent.pem", "preferred", "ee key too small"},
		{"sig-rsaleaf.sent.pem", "suiteb", "ee key too small"}, {"sig-ec256.sent.pem", "suiteb", ""},
	} {
		_, err := tlsconf.Build(tlsconf.Options{Cert: content[tt.cert], External: &tlsconf.External{}, Profile: tt.profile})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s, profile %q: %v, want %q", tt.cert, tt.profile, err, tt.want)
		}
	}
}

// A list in place that cannot be read is a problem that a reload hears of, and lets nobody in.
func TestInlineCRLProblem(t *testing.T) {
	root := issue(t, "Lab CA", nil, ca)
	good := root.crl(t, time.Now().Add(time.Hour))
	for _, tt := range []struct {
		name    string
		text    []byte
		problem bool
	}{{"good", good, false}, {"cut", good[:len(good)-60], true}, {"text", []byte("hello"), true}, {"empty block", []byte{}, true}} {
		c, err := tlsconf.Build(tlsconf.Options{CA: root.pem, Verify: tlsconf.Verify{CRL: tt.text}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CRLProblem(); (err != nil) != tt.problem {
			t.Errorf("%s: problem %v", tt.name, err)
		}
		leaf := issue(t, "server", root, server)
		if err := c.TLS(tlsconf.Hooks{}).VerifyConnection(leaf.shown()); (err != nil) != tt.problem {
			t.Errorf("%s: verify %v", tt.name, err)
		}
	}
}
