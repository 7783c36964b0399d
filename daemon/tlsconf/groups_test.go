package tlsconf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Lists of groups mean what they mean to stock 2.7.8 with OpenSSL 3.5. None is a list that ends the daemon.
func TestGroups(t *testing.T) {
	usual := []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	l := newLab(t, pki.ECDSA)
	for list, want := range map[string][]tls.CurveID{
		"X25519":                {tls.X25519},
		"prime256v1:secp521r1":  {tls.CurveP256, tls.CurveP521},
		"X25519MLKEM768:X25519": {tls.X25519MLKEM768, tls.X25519},
		"?foo:X25519":           {tls.X25519},
		"?X25519:P-256":         {tls.X25519, tls.CurveP256},
		"*X25519:?*P-256":       {tls.X25519, tls.CurveP256},
		"DEFAULT":               usual,
		"P-384:DEFAULT":         {tls.CurveP384, tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP521},
		"x448:X25519":           {tls.X25519},
		"foo:X25519":            nil,
		"?foo":                  nil,
	} {
		c, err := tlsconf.Build(tlsconf.Options{CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Server: true, Groups: list})
		switch {
		case err != nil:
			if want != nil {
				t.Errorf("%s: %v", list, err)
			}
		default:
			if diff := cmp.Diff(want, c.TLS(tlsconf.Hooks{}).CurvePreferences); diff != "" {
				t.Errorf("%s (-want +got):\n%s", list, diff)
			}
		}
	}
}
