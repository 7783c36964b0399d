package tlsconf

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// indefinite rewrites DER as the most wasteful BER: all that can be has an indefinite length, octet strings come in parts. So do the
// sequences in octet strings, nest deep.
func indefinite(t testing.TB, der []byte, nest int) []byte {
	var out []byte
	for len(der) > 0 {
		var e asn1.RawValue
		rest, err := asn1.Unmarshal(der, &e)
		if err != nil {
			t.Fatalf("no DER: %x", der)
		}
		tag, inside := der[:1], e.Bytes
		switch {
		case e.IsCompound:
			out = append(append(append(append(out, tag...), 0x80), indefinite(t, inside, nest)...), 0, 0)
		case tag[0] == asn1.TagOctetString && len(inside) > 1, tag[0] == 0x80 && len(inside) > 16: // [0] of encrypted content
			if nest > 0 && inside[0] == 0x30 {
				inside = indefinite(t, inside, nest-1)
			}
			out = append(out, tag[0]|0x20, 0x80)
			for half := range [2]int{} {
				part := inside[:len(inside)/2]
				if half == 1 {
					part = inside[len(inside)/2:]
				}
				out = append(append(out, asn1.TagOctetString, 0x83, byte(len(part)>>16), byte(len(part)>>8), byte(len(part))), part...)
			}
			out = append(out, 0, 0)
		default:
			out = append(out, der[:len(der)-len(rest)]...)
		}
		der = rest
	}
	return out
}

// A bundle of BER, as Windows, NSS and Java write it, opens like the same one of DER.
func TestBundlesOfBER(t *testing.T) {
	a, err := txtar.ParseFile("testdata/keys.txtar")
	if err != nil {
		t.Fatal(err)
	}
	opens := make(map[string]string) // passphrases by name
	for line := range strings.Lines(string(a.Comment)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 && f[3] == "opens" {
			opens[f[0]] = strings.TrimPrefix(f[1], "-")
		}
	}
	n := 0
	for _, f := range a.Files {
		pass, ok := opens[f.Name]
		if !ok || !strings.HasSuffix(f.Name, ".p12") {
			continue
		}
		n++
		t.Run(f.Name, func(t *testing.T) {
			der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(f.Data), "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			nest := 0
			if strings.HasPrefix(f.Name, "nomac") && f.Name != "nomaciter.p12" {
				nest = 2 // the safe and its parts, which a MAC covers elsewhere
			}
			ber := indefinite(t, der, nest)
			_, want, others, err := openBundle(der, pass)
			if err != nil {
				t.Fatal(err)
			}
			_, cert, rest, err := openBundle(ber, pass)
			if err != nil || !bytes.Equal(cert.Raw, want.Raw) || len(rest) != len(others) {
				t.Fatalf("%v, %d other certificates, want %d", err, len(rest), len(others))
			}
			if pass != "" && nest == 0 {
				if _, _, _, err := openBundle(ber, "wrong"); err != ErrPassphrase {
					t.Errorf("with a wrong passphrase: %v", err)
				}
			}
		})
	}
	if n < 10 {
		t.Errorf("%d bundles", n)
	}
}
