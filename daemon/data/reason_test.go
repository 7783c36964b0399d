package data

import (
	"fmt"
	"strings"
	"testing"
)

// Every reason has a line that names it, and only a failed authentication looks like trouble with keys.
func TestOpenErrorText(t *testing.T) {
	seen := map[string]bool{}
	for _, reason := range reasons {
		for _, cipher := range []string{"AES-256-GCM", "AES-256-CBC"} {
			text := OpenErrorText(fmt.Errorf("opening: %w", reason), cipher)
			keys := strings.Contains(text, "cipher final") || strings.Contains(text, "HMAC")
			if keys != (reason == ErrAuth) {
				t.Errorf("%v with %s: %q", reason, cipher, text)
			}
			if (reason == ErrAuth || reason == ErrReplay) != strings.Contains(text, map[string]string{"AES-256-GCM": "AEAD Decrypt error: ", "AES-256-CBC": "Authenticate/Decrypt packet error: "}[cipher]) {
				t.Errorf("%v with %s: %q", reason, cipher, text)
			}
			if cipher == "AES-256-GCM" && seen[text] {
				t.Errorf("%q for two reasons", text)
			}
			seen[text] = true
		}
	}
}
