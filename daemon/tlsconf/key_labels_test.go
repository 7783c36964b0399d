package tlsconf_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Keys under other labels than their own, on curves that are described in place of named, with points in each form, and bundles
// whose passphrase is in Latin-1: what stock 2.6.14 starts with opens here, or the error says which curve cannot.
func TestKeyLabelsAndCurves(t *testing.T) {
	content, rows := table(t, "testdata/forms.txtar")
	for _, f := range rows {
		name, cert, kind, stock, want := f[0], f[1], f[2], f[4], f[5]
		pass, err := hex.DecodeString(strings.TrimPrefix(f[3], "-"))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			o := tlsconf.Options{Cert: content[cert+".crt"], Key: content[name]}
			if kind == "p12" {
				o.Cert, o.Key = nil, nil
				if o.PKCS12, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(content[name]), "\n", "")); err != nil {
					t.Fatal(err)
				}
			}
			o.Passphrase = func() (string, error) { return string(pass), nil }
			_, err := tlsconf.Build(o)
			switch {
			case want == "opens" && err != nil:
				t.Errorf("stock %s: %v", stock, err)
			case want != "opens" && (err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, tlsconf.ErrPassphrase)):
				t.Errorf("%v, want an error that says %q", err, want)
			}
			if want == "opens" && len(pass) > 0 {
				o.Passphrase = func() (string, error) { return "gr\xf6\xdfer", nil }
				if _, err := tlsconf.Build(o); !errors.Is(err, tlsconf.ErrPassphrase) {
					t.Errorf("wrong passphrase: %v", err)
				}
			}
		})
	}
	if len(rows) < 28 {
		t.Errorf("%d rows", len(rows))
	}
}
