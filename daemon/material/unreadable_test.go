package material

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// What cannot be read, or holds something else, is told with stock's words and the file, once.
func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, garbage := at("empty", ""), at("garbage", "garbage\n")
	for _, tt := range []struct {
		option string
		set    func(*config.Options, config.Source)
		words  string // of stock
	}{
		{"ca", func(o *config.Options, s config.Source) { o.CA = s }, "Cannot load CA certificate file @ (no entries were read)"},
		{"cert", func(o *config.Options, s config.Source) { o.Cert = s }, "Cannot load certificate file @"},
		{"key", func(o *config.Options, s config.Source) { o.Key = s }, "Cannot load private key file @"},
		{"extra-certs", func(o *config.Options, s config.Source) { o.ExtraCerts = s }, "Error reading extra certificate: @"},
		{"pkcs12", func(o *config.Options, s config.Source) { o.PKCS12 = s }, "Error reading PKCS#12 file @"},
		{"dh", func(o *config.Options, s config.Source) { o.DH = s }, "Cannot load DH parameters from @"},
	} {
		for path, why := range map[string]string{dir: "is a directory", empty: "it is empty", garbage: "there is no PEM block", filepath.Join(empty, "x"): "not a directory"} {
			if tt.option == "pkcs12" && path == garbage { // what is in it is for tlsconf to say
				continue
			}
			o := new(config.Options)
			o.TLSServer = true
			tt.set(o, config.Source{Path: path})
			_, err := TLSOptions(o)
			want := strings.ReplaceAll(tt.words, "@", path) + ": " + why
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
				t.Errorf("%s %s: got %v, want %s", tt.option, path, err, want)
			}
		}
	}
	for _, option := range []string{"tls-auth", "tls-crypt", "secret"} {
		if _, err := StaticKey(option, config.Source{Path: dir}); err == nil || !strings.Contains(err.Error(), "('"+dir+"') (--"+option+"): is a directory") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
