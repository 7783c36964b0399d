package tlsconf_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// One key in every form that the openssl command encrypts it in, and what stock 2.6.14 does with each. A form that cannot be
// opened is told by its name and never taken for a wrong passphrase, which would be asked for again without end.
func TestEncryptedForms(t *testing.T) {
	content, rows := table(t, "testdata/keys.txtar")
	for _, f := range rows {
		name, pass, stock, want := f[0], strings.TrimPrefix(f[1], "-"), f[2] == "1", f[3]
		t.Run(name, func(t *testing.T) {
			o := tlsconf.Options{CA: content["c.crt"], Cert: content["c.crt"], Key: content[name]}
			if strings.HasSuffix(name, ".p12") {
				der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(content[name]), "\n", ""))
				if err != nil {
					t.Fatal(err)
				}
				o.Cert, o.Key, o.PKCS12 = nil, nil, der
			}
			asked := 0
			ask := func(pass string) (string, error) { asked++; return pass, nil }
			o.Passphrase = func() (string, error) { return ask(pass) }
			_, err := tlsconf.Build(o)
			if want == "opens" {
				if err != nil {
					t.Fatal(err)
				}
				if pass == "" {
					return
				}
				for _, wrong := range []string{"wrong", "", "pw", "pw11"} {
					o.Passphrase = func() (string, error) { return ask(wrong) }
					if _, err := tlsconf.Build(o); !errors.Is(err, tlsconf.ErrPassphrase) {
						t.Errorf("passphrase %q: %v", wrong, err)
					}
				}
				return
			}
			if stock && !strings.Contains(want, "ARIA") && !strings.Contains(want, "CAMELLIA") && !strings.Contains(want, "SM4") &&
				!strings.Contains(want, "FB") {
				t.Errorf("stock opens it, we do not know %s", want)
			}
			var form *tlsconf.FormError
			if !errors.As(err, &form) || form.Algorithm != want || errors.Is(err, tlsconf.ErrPassphrase) {
				t.Errorf("%v, want an error that names %s", err, want)
			}
			if o.PKCS12 == nil && asked > 0 {
				t.Error("asked for the passphrase of a key that it cannot open")
			}
		})
	}
	if len(rows) < 60 {
		t.Errorf("%d forms", len(rows))
	}
}
