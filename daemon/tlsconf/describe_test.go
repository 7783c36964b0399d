package tlsconf_test

import (
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// The lines are those of 2.7.8 with OpenSSL 3.5 for the same keys and groups, at either end.
func TestDescribe27(t *testing.T) {
	const signature = ", signature: ecdsa-with-SHA256"
	for _, tt := range []struct {
		name           string
		kind           pki.KeyKind
		options        tlsconf.Options
		client, server string
	}{
		{"ECDSA", pki.ECDSA, tlsconf.Options{Groups: "X25519"},
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ECprime256v1" + signature + ", peer temporary key: 253 bits X25519, peer signing digest/type: ecdsa_secp256r1_sha256 ECDSA, key agreement: x25519",
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ECprime256v1" + signature + ", peer temporary key: 253 bits X25519, peer signing digest/type: ecdsa_secp256r1_sha256 ECDSA, key agreement: x25519"},
		{"RSA by encapsulation", pki.RSA, tlsconf.Options{Groups: "X25519MLKEM768"},
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 2048 bits RSA" + signature + ", peer signing digest/type: rsa_pss_rsae_sha256 RSASSA-PSS, key agreement: X25519MLKEM768",
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 2048 bits RSA" + signature + ", peer temporary key: 768 bits X25519MLKEM768, peer signing digest/type: rsa_pss_rsae_sha256 RSASSA-PSS, key agreement: X25519MLKEM768"},
		{"Ed25519", pki.Ed25519, tlsconf.Options{Groups: "secp384r1"},
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ED25519" + signature + ", peer temporary key: 384 bits ECsecp384r1, peer signing digest/type: ed25519 ED25519, key agreement: secp384r1",
			"TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 256 bits ED25519" + signature + ", peer temporary key: 384 bits ECsecp384r1, peer signing digest/type: ed25519 ED25519, key agreement: secp384r1"},
		{"TLS 1.2", pki.ECDSA, tlsconf.Options{Groups: "X25519", VersionMax: "1.2", Ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384"},
			"TLSv1.2, cipher TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384, peer certificate: 256 bits ECprime256v1" + signature + ", peer temporary key: 253 bits X25519, peer signing digest/type: ecdsa_secp256r1_sha256 ECDSA, key agreement: x25519",
			"TLSv1.2, cipher TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384, peer certificate: 256 bits ECprime256v1" + signature + ", peer signing digest/type: ecdsa_secp256r1_sha256 ECDSA, key agreement: x25519"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.kind)
			client, server := tt.options, tt.options
			client.CA, client.Cert, client.Key = l.ca.PEM, l.client.CertPEM, l.client.KeyPEM
			server.CA, server.Cert, server.Key, server.Server = l.ca.PEM, l.server.CertPEM, l.server.KeyPEM, true
			cs, ss, err := shake(t, build(t, client), build(t, server))
			if err != nil {
				t.Fatal(err)
			}
			if got := tlsconf.Describe27(&cs, false); got != tt.client {
				t.Errorf("client:\n got %s\nwant %s", got, tt.client)
			}
			if got := tlsconf.Describe27(&ss, true); got != tt.server {
				t.Errorf("server:\n got %s\nwant %s", got, tt.server)
			}
		})
	}
}
