package daemon

import (
	"bytes"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// Scripts cut these lists: from a line with "The following" to the first empty line, or behind a heading. OpenVPN's own
// self-test takes the first word of each line that is left.
func TestShowIsCutAsStocks(t *testing.T) {
	show := func(name string) string {
		var out bytes.Buffer
		o := &config.Options{}
		o.Tool.Name = name
		if code := runTool(t.Context(), o, Env{Stdout: &out}); code != exitOK {
			t.Fatalf("%s: status %d", name, code)
		}
		return out.String()
	}
	cut := func(text string) (words []string) {
		skipping := false
		for line := range strings.Lines(text) {
			switch f := strings.Fields(line); {
			case strings.Contains(line, "The following"):
				skipping = true
			case len(f) == 0:
				skipping = false
			case !skipping:
				words = append(words, f[0])
			}
		}
		return words
	}
	for name, want := range map[string][]string{
		"show-ciphers": {"AES-128-CBC", "AES-256-GCM", "CHACHA20-POLY1305"},
		"show-digests": {"SHA1", "SHA256", "SHA512"},
	} {
		got := cut(show(name))
		for _, w := range got {
			if strings.ToUpper(w) != w && !strings.HasPrefix(w, "BLAKE") {
				t.Errorf("%s: %q is no name", name, w)
			}
		}
		for _, w := range want {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+w+" ") {
				t.Errorf("%s lacks %s: %v", name, w, got)
			}
		}
	}
	tls := show("show-tls")
	_, rest, ok13 := strings.Cut(tls, "For TLS 1.3 and newer (--tls-ciphersuites):\n\n")
	new13, rest, ok12 := strings.Cut(rest, "\n\nFor TLS 1.2 and older (--tls-cipher):\n\n")
	if !strings.HasPrefix(tls, "Available TLS Ciphers") || !ok13 || !ok12 || !strings.HasPrefix(new13, "TLS_AES_256_GCM_SHA384\n") ||
		!strings.Contains(rest, "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384\n") {
		t.Errorf("show-tls:\n%s", tls)
	}
	_, curves, ok := strings.Cut(show("show-curves"), "Available Elliptic curves/groups:\n")
	if !ok || !strings.Contains(curves, "\nsecp384r1\n") {
		t.Errorf("show-curves:\n%s", curves)
	}
	if !strings.HasPrefix(show("show-engines"), "Sorry, ") {
		t.Error("show-engines")
	}
}
