package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// A data channel that does not encrypt, or does not authenticate, says so whenever it begins.
func TestWarnWeak(t *testing.T) {
	for _, tt := range []struct {
		cipher, auth string
		shown        string
		warns        []string
	}{
		{"AES-256-GCM", "none", "cipher 'AES-256-GCM'", nil},
		{"AES-256-CBC", "SHA256", "cipher 'AES-256-CBC', auth 'SHA256'", nil},
		{"AES-256-CBC", "none", "cipher 'AES-256-CBC', auth '[null-digest]'", []string{"--auth none"}},
		{"none", "SHA1", "cipher '[null-cipher]', auth 'SHA1'", []string{"--cipher none", "reducing reneg-bytes"}},
		{"none", "None", "cipher '[null-cipher]', auth '[null-digest]'", []string{"--cipher none", "--auth none", "reducing reneg-bytes"}},
		{"BF-CBC", "SHA1", "cipher 'BF-CBC', auth 'SHA1'", []string{"INSECURE cipher (BF-CBC)", "reducing reneg-bytes"}},
	} {
		var lines []string
		WarnWeak(func(_ logging.Level, format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }, tt.cipher, tt.auth, -1)
		ok := len(lines) == len(tt.warns)
		for i := range min(len(lines), len(tt.warns)) {
			ok = ok && strings.Contains(lines[i], tt.warns[i])
		}
		if got := CipherInLog(tt.cipher, tt.auth); !ok || got != tt.shown {
			t.Errorf("%s, auth %s: %q, %q", tt.cipher, tt.auth, got, lines)
		}
	}
}
