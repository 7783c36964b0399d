package message

import (
	"errors"
	"testing"
)

func TestServerCipher(t *testing.T) {
	gcm := []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"}
	tests := []struct {
		name, info, occ string
		ours            []string
		fallback, want  string
	}{
		{"2.6 client", "IV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n", "", gcm, "", "AES-256-GCM"},
		{"server's order", "IV_CIPHERS=AES-256-GCM:CHACHA20-POLY1305\n", "", []string{"CHACHA20-POLY1305", "AES-256-GCM"}, "", "CHACHA20-POLY1305"},
		{"2.4 client", "IV_NCP=2\n", "V4,cipher BF-CBC,auth SHA1", gcm, "", "AES-256-GCM"},
		{"by options string", "", "V4,dev-type tun,cipher aes-256-cbc,auth SHA1", []string{"AES-256-GCM", "AES-256-CBC"}, "", "AES-256-CBC"},
		{"list is authoritative", "IV_CIPHERS=AES-128-GCM\n", "V4,cipher AES-256-CBC", []string{"AES-256-CBC"}, "AES-256-CBC", ""},
		{"fallback", "", "V4,dev-type tun", gcm, "AES-256-CBC", "AES-256-CBC"},
		{"fallback not for those who tell", "", "V4,cipher BF-CBC", gcm, "AES-256-CBC", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := ParsePeerInfo(tt.info)
			got, err := ServerCipher(tt.ours, &p, tt.occ, tt.fallback)
			if got != tt.want || (tt.want == "") != errors.Is(err, ErrNoSharedCipher) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
