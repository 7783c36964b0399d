package tlsconf_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// lab is an authority with both ends' certificates.
type lab struct {
	ca             *pki.CA
	client, server *pki.Leaf
}

func newLab(t *testing.T, kind pki.KeyKind) lab {
	t.Helper()
	ca, err := pki.NewCA("Lab CA")
	if err != nil {
		t.Fatal(err)
	}
	l := lab{ca: ca}
	if l.client, err = ca.Issue(pki.Spec{Name: "client1", Key: kind}); err != nil {
		t.Fatal(err)
	}
	if l.server, err = ca.Issue(pki.Spec{Name: "server", Server: true, Key: kind}); err != nil {
		t.Fatal(err)
	}
	return l
}

// shake runs a TLS handshake between both configurations and returns both ends' states.
func shake(t testing.TB, client, server *tls.Config) (cs, ss tls.ConnectionState, err error) {
	t.Helper()
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	cc, sc := tls.Client(a, client), tls.Server(b, server)
	var wg sync.WaitGroup
	var serr error
	wg.Go(func() {
		if serr = sc.Handshake(); serr == nil {
			_, serr = sc.Write([]byte{1})
		}
		if serr != nil {
			_ = b.Close()
		}
	})
	cerr := cc.Handshake()
	if cerr == nil {
		_, cerr = cc.Read(make([]byte, 1))
	}
	if cerr != nil {
		_ = a.Close()
	}
	wg.Wait()
	return cc.ConnectionState(), sc.ConnectionState(), errors.Join(cerr, serr)
}

func build(t *testing.T, o tlsconf.Options) *tls.Config {
	t.Helper()
	c, err := tlsconf.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.TLS(tlsconf.Hooks{})
}

func TestHandshake(t *testing.T) {
	for _, tt := range []struct {
		name           string
		kind           pki.KeyKind
		client, server tlsconf.Options
		want           string // of Describe at the client; empty: no connection
	}{
		{"default", pki.ECDSA, tlsconf.Options{Groups: "X25519"}, tlsconf.Options{}, "TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519"},
		{"1.2 by the client", pki.ECDSA, tlsconf.Options{VersionMax: "1.2", Groups: "prime256v1"}, tlsconf.Options{}, "TLSv1.2, cipher TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256, peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256, peer temporary key: 256 bits ECprime256v1"},
		{"cipher", pki.RSA, tlsconf.Options{VersionMax: "1.2", Groups: "secp384r1"}, tlsconf.Options{Ciphers: "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384:nonsense"}, "TLSv1.2, cipher TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384, peer certificate: 2048 bits RSA, signature: ecdsa-with-SHA256, peer temporary key: 384 bits ECsecp384r1"},
		{"old cipher", pki.RSA, tlsconf.Options{VersionMax: "1.2", Groups: "P-521", Ciphers: "ECDHE-RSA-AES256-SHA"}, tlsconf.Options{}, "TLSv1.2, cipher TLSv1.0 ECDHE-RSA-AES256-SHA, peer certificate: 2048 bits RSA, signature: ecdsa-with-SHA256, peer temporary key: 521 bits ECsecp521r1"},
		{"ed25519", pki.Ed25519, tlsconf.Options{Groups: "X25519MLKEM768"}, tlsconf.Options{}, "TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ED25519, signature: ecdsa-with-SHA256, peer temporary key: X25519MLKEM768"},
		{"ciphersuites of the client", pki.ECDSA, tlsconf.Options{Groups: "X25519", CipherSuites: "TLS_CHACHA20_POLY1305_SHA256"}, tlsconf.Options{}, "TLSv1.3, cipher TLSv1.3 TLS_CHACHA20_POLY1305_SHA256, peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519"},
		{"ciphersuites of the server", pki.ECDSA, tlsconf.Options{Groups: "X25519"}, tlsconf.Options{CipherSuites: "TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"}, "TLSv1.3, cipher TLSv1.3 TLS_AES_128_GCM_SHA256, peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519"},
		{"no common ciphersuite", pki.ECDSA, tlsconf.Options{CipherSuites: "TLS_AES_256_GCM_SHA384"}, tlsconf.Options{CipherSuites: "TLS_AES_128_GCM_SHA256"}, ""},
		{"no common version", pki.ECDSA, tlsconf.Options{VersionMin: "1.3"}, tlsconf.Options{VersionMax: "1.2"}, ""},
		{"no common group", pki.ECDSA, tlsconf.Options{Groups: "X25519"}, tlsconf.Options{Groups: "secp384r1"}, ""},
		{"preferred", pki.RSA, tlsconf.Options{Profile: "preferred", Groups: "X25519"}, tlsconf.Options{}, "TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 2048 bits RSA, signature: ecdsa-with-SHA256, peer temporary key: 253 bits X25519"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.kind)
			tt.client.CA, tt.client.Cert, tt.client.Key = l.ca.PEM, l.client.CertPEM, l.client.KeyPEM
			tt.server.CA, tt.server.Cert, tt.server.Key, tt.server.Server = l.ca.PEM, l.server.CertPEM, l.server.KeyPEM, true
			cs, ss, err := shake(t, build(t, tt.client), build(t, tt.server))
			if tt.want == "" {
				if err == nil {
					t.Error("connected")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := tlsconf.Describe(&cs); got != tt.want {
				t.Errorf("Describe:\n got %s\nwant %s", got, tt.want)
			}
			if got := tlsconf.Subject(ss.PeerCertificates[0]); got != "CN=client1" {
				t.Errorf("the server sees %q", got)
			}
		})
	}
}

// verify-client-cert: who gets in without a certificate, and with a foreign one.
func TestClientCertPolicy(t *testing.T) {
	l, foreign := newLab(t, pki.ECDSA), newLab(t, pki.ECDSA)
	for _, tt := range []struct {
		name    string
		policy  tlsconf.ClientCert
		cert    *pki.Leaf // nil: none
		ok      bool
		visible bool
	}{
		{"require, good", tlsconf.RequireCert, l.client, true, true},
		{"require, none", tlsconf.RequireCert, nil, false, false},
		{"require, foreign", tlsconf.RequireCert, foreign.client, false, false},
		{"optional, good", tlsconf.OptionalCert, l.client, true, true},
		{"optional, none", tlsconf.OptionalCert, nil, true, false},
		{"optional, foreign", tlsconf.OptionalCert, foreign.client, false, false},
		{"none, good", tlsconf.NoCert, l.client, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tlsconf.Options{CA: l.ca.PEM}
			if tt.cert != nil {
				o.Cert, o.Key = tt.cert.CertPEM, tt.cert.KeyPEM
			}
			server := build(t, tlsconf.Options{CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Server: true, ClientCert: tt.policy})
			_, ss, err := shake(t, build(t, o), server)
			if (err == nil) != tt.ok {
				t.Fatalf("handshake: %v, want success %v", err, tt.ok)
			}
			if tt.ok && (len(ss.PeerCertificates) > 0) != tt.visible {
				t.Errorf("the server sees %d certificates", len(ss.PeerCertificates))
			}
		})
	}
}

// Private keys in every form a configuration may bring, with the right, a wrong and no passphrase.
func TestKeyForms(t *testing.T) {
	l := newLab(t, pki.RSA)
	rsaKey, ok := l.client.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("not an RSA key")
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey)
	traditional := func(cipher x509.PEMCipher) []byte {
		//lint:ignore SA1019 the form of old key files
		b, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", pkcs1, []byte("secret"), cipher)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(b)
	}
	encrypted, err := l.client.EncryptedKey("secret")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := l.client.PKCS12(l.ca, "secret")
	if err != nil {
		t.Fatal(err)
	}
	plainBundle, err := l.client.PKCS12(l.ca, "")
	if err != nil {
		t.Fatal(err)
	}
	server := build(t, tlsconf.Options{CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Server: true})
	for _, tt := range []struct {
		name        string
		key, bundle []byte
		asks        bool
	}{
		{name: "pkcs8", key: l.client.KeyPEM},
		{name: "pkcs1", key: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: pkcs1})},
		{name: "encrypted pkcs8", key: encrypted, asks: true},
		{name: "traditional aes", key: traditional(x509.PEMCipherAES256), asks: true},
		{name: "traditional 3des", key: traditional(x509.PEMCipher3DES), asks: true},
		{name: "bundle", bundle: bundle, asks: true},
		{name: "bundle without password", bundle: plainBundle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tlsconf.Options{CA: l.ca.PEM, Key: tt.key, PKCS12: tt.bundle}
			if tt.key != nil {
				o.Cert = l.client.CertPEM
			}
			asked := 0
			o.Passphrase = func() (string, error) { asked++; return "secret", nil }
			if _, _, err := shake(t, build(t, o), server); err != nil {
				t.Fatal(err)
			}
			if (asked == 1) != tt.asks || asked > 1 {
				t.Errorf("asked %d times", asked)
			}
			if !tt.asks {
				return
			}
			o.Passphrase = func() (string, error) { return "wrong", nil }
			if _, err := tlsconf.Build(o); !errors.Is(err, tlsconf.ErrPassphrase) {
				t.Errorf("wrong passphrase: %v", err)
			}
			o.Passphrase = nil
			if _, err := tlsconf.Build(o); !errors.Is(err, tlsconf.ErrPassphrase) {
				t.Errorf("no passphrase: %v", err)
			}
			no := errors.New("cancelled")
			o.Passphrase = func() (string, error) { return "", no }
			if _, err := tlsconf.Build(o); !errors.Is(err, no) {
				t.Errorf("asking fails: %v", err)
			}
		})
	}
	t.Run("authority from the bundle", func(t *testing.T) {
		if _, _, err := shake(t, build(t, tlsconf.Options{PKCS12: plainBundle}), server); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBuildErrors(t *testing.T) {
	l, other := newLab(t, pki.ECDSA), newLab(t, pki.ECDSA)
	for _, tt := range []struct {
		name   string
		change func(*tlsconf.Options)
		want   string
	}{
		{"server without certificate", func(o *tlsconf.Options) { o.Cert, o.Key = nil, nil }, "certificate or private key missing"},
		{"no key", func(o *tlsconf.Options) { o.Key = nil }, "certificate or private key missing"},
		{"foreign key", func(o *tlsconf.Options) { o.Key = other.server.KeyPEM }, "private key does not match the certificate"},
		{"key is no key", func(o *tlsconf.Options) { o.Key = o.Cert }, "no private key"},
		{"no authority in the file", func(o *tlsconf.Options) { o.CA = []byte("text") }, "ca: no certificate"},
		{"profile", func(o *tlsconf.Options) { o.Profile = "foo" }, "ERROR: Invalid cert profile: foo"},
		{"version", func(o *tlsconf.Options) { o.VersionMin = "1.4" }, "unknown tls-version-min parameter: 1.4"},
		{"versions crossed", func(o *tlsconf.Options) { o.VersionMin, o.VersionMax = "1.3", "1.2" }, "above tls-version-max"},
		{"cipher", func(o *tlsconf.Options) { o.Ciphers = "foo:ECDHE-FOO" }, "Failed to set restricted TLS cipher list: foo:ECDHE-FOO"},
		{"ciphersuites", func(o *tlsconf.Options) { o.CipherSuites = "foo" }, "Failed to set restricted TLS 1.3 cipher list: foo"},
		{"groups", func(o *tlsconf.Options) { o.Groups = "X25519:foo" }, "Failed to set allowed TLS group list: X25519:foo"},
		{"remote-cert-tls", func(o *tlsconf.Options) { o.Verify.RemoteCertTLS = "foo" }, "--remote-cert-tls must be 'client' or 'server'"},
		{"capath", func(o *tlsconf.Options) { o.CAPath = "/nonexistent" }, "capath:"},
		{"bundle", func(o *tlsconf.Options) { o.PKCS12 = []byte{1} }, "pkcs12:"},
	} {
		o := tlsconf.Options{CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Server: true}
		tt.change(&o)
		if _, err := tlsconf.Build(o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	c, err := tlsconf.Build(tlsconf.Options{CA: l.ca.PEM, Ciphers: "foo:ECDHE-RSA-AES128-GCM-SHA256", Groups: "secp256k1:X25519", VersionMin: "9", VersionMinOrHighest: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"No valid translation found for TLS cipher 'foo'", "Note: the TLS library does not have the group secp256k1 of tls-groups"}
	if diff := cmp.Diff(want, c.Notes()); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// External keys with each set of flags: what is asked for, and that the handshake comes through.
func TestExternal(t *testing.T) {
	for _, tt := range []struct {
		name    string
		kind    pki.KeyKind
		ext     tlsconf.External
		version string // empty: 1.2 and 1.3
		want    string // algorithm; empty: no connection
	}{
		{"ecdsa", pki.ECDSA, tlsconf.External{}, "1.3", "ECDSA"},
		{"ecdsa digest", pki.ECDSA, tlsconf.External{Digest: true}, "1.2", "ECDSA,hashalg=SHA256,data=message"},
		{"ed25519", pki.Ed25519, tlsconf.External{}, "1.3", "ED25519"},
		{"pss 1.3", pki.RSA, tlsconf.External{PSS: true}, "1.3", "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest"},
		{"pss 1.2", pki.RSA, tlsconf.External{PSS: true}, "1.2", "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest"},
		{"pss digest", pki.RSA, tlsconf.External{PSS: true, Digest: true}, "1.3", "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest,data=message"},
		{"pkcs1", pki.RSA, tlsconf.External{PKCS1: true}, "1.2", "RSA_PKCS1_PADDING"},
		{"pkcs1 digest", pki.RSA, tlsconf.External{PKCS1: true, Digest: true}, "1.2", "RSA_PKCS1_PADDING,hashalg=SHA256,data=message"},
		{"pkcs1 cannot do 1.3", pki.RSA, tlsconf.External{PKCS1: true}, "1.3", ""},
		{"nopadding", pki.RSA, tlsconf.External{NoPadding: true}, "1.2", "RSA_NO_PADDING"},
		{"nopadding 1.3", pki.RSA, tlsconf.External{NoPadding: true}, "1.3", "RSA_NO_PADDING"},
		{"no flag", pki.RSA, tlsconf.External{}, "1.2", "RSA_PKCS1_PADDING"},
		{"any version", pki.RSA, tlsconf.External{PKCS1: true}, "", "RSA_PKCS1_PADDING"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.kind)
			var got string
			tt.ext.Sign = func(r tlsconf.SignRequest) ([]byte, error) {
				got = r.Algorithm
				return token(l.client.Key, r)
			}
			client := build(t, tlsconf.Options{CA: l.ca.PEM, Cert: l.client.CertPEM, External: &tt.ext, VersionMin: tt.version, VersionMax: tt.version})
			server := build(t, tlsconf.Options{CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Server: true})
			_, ss, err := shake(t, client, server)
			if (err == nil) != (tt.want != "") {
				t.Fatalf("handshake: %v", err)
			}
			if got != tt.want {
				t.Errorf("algorithm %q, want %q", got, tt.want)
			}
			if err == nil && len(ss.PeerCertificates) == 0 {
				t.Error("no client certificate arrived")
			}
		})
	}
}

// token signs as the holder of an external key does, going by the request alone.
func token(key crypto.Signer, r tlsconf.SignRequest) ([]byte, error) {
	data, isMessage := r.Data, strings.HasSuffix(r.Algorithm, ",data=message")
	if isMessage {
		sum := sha256.Sum256(data)
		data = sum[:]
	}
	switch {
	case strings.HasPrefix(r.Algorithm, "ECDSA"):
		return key.Sign(rand.Reader, data, crypto.SHA256)
	case r.Algorithm == "ED25519":
		return key.Sign(rand.Reader, data, crypto.Hash(0))
	case strings.HasPrefix(r.Algorithm, "RSA_PKCS1_PSS_PADDING"):
		return key.Sign(rand.Reader, data, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case isMessage:
		return key.Sign(rand.Reader, data, crypto.SHA256)
	case r.Algorithm == "RSA_PKCS1_PADDING":
		return rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), 0, data) // a DigestInfo is signed as it is
	default: // RSA_NO_PADDING: the bare operation
		k := key.(*rsa.PrivateKey)
		if len(data) != k.Size() {
			return nil, errors.New("not a block")
		}
		return new(big.Int).Exp(new(big.Int).SetBytes(data), k.D, k.N).FillBytes(make([]byte, k.Size())), nil
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]uint16{
		"ECDHE-ECDSA-AES256-GCM-SHA384":                 tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256":         tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		"TLS_AES_256_GCM_SHA384":                        0,
		"AES128-SHA":                                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		"DHE-RSA-AES256-GCM-SHA384":                     0,
	} {
		got, ok := tlsconf.SuiteID(name)
		if got != want || ok != (want != 0) {
			t.Errorf("SuiteID(%s) = %#x, %v, want %#x", name, got, ok, want)
		}
	}
	for name, want := range map[string]tls.CurveID{"X25519": tls.X25519, "secp256r1": tls.CurveP256, "P-384": tls.CurveP384, "foo": 0} {
		if got, ok := tlsconf.GroupID(name); got != want || ok != (want != 0) {
			t.Errorf("GroupID(%s) = %v, %v, want %v", name, got, ok, want)
		}
	}
}
