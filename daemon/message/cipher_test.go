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
		{"no cipher", "IV_CIPHERS=none\n", "", []string{"none"}, "", "none"},
		{"no cipher is last", "IV_CIPHERS=none:AES-256-GCM\n", "", []string{"AES-256-GCM", "none"}, "", "AES-256-GCM"},
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

func TestClientCipher(t *testing.T) {
	gcm := []string{"AES-256-GCM", "AES-128-GCM"}
	for _, tt := range []struct {
		name             string
		ours             []string
		fallback, pushed string
		options, want    string
		problem          string
	}{
		{"pushed, in the list", gcm, "", "AES-128-GCM", "V4,cipher AES-256-GCM", "AES-128-GCM", ""},
		{"pushed, the fallback", gcm, "AES-192-CBC", "AES-192-CBC", "", "AES-192-CBC", ""},
		{"pushed, neither", gcm, "AES-128-CBC", "AES-192-CBC", "V4,cipher AES-128-GCM", "", "Error: negotiated cipher not allowed - AES-192-CBC not in AES-256-GCM:AES-128-GCM"},
		{"pushed, in other letters", gcm, "", "aes-128-gcm", "", "", "Error: negotiated cipher not allowed - aes-128-gcm not in AES-256-GCM:AES-128-GCM"},
		{"named, in the list", gcm, "AES-128-CBC", "", "V4,cipher AES-128-GCM", "AES-128-GCM", ""},
		{"named, the fallback", gcm, "AES-192-CBC", "", "V4,cipher AES-192-CBC", "", "OPTIONS ERROR: failed to negotiate cipher with server.  Add the server's cipher ('AES-192-CBC') to --data-ciphers (currently 'AES-256-GCM:AES-128-GCM') if you want to connect to this server."},
		{"nothing, a fallback", gcm, "AES-192-CBC", "", "V4", "AES-192-CBC", ""},
		{"nothing", gcm, "", "", "V4", "", "OPTIONS ERROR: failed to negotiate cipher with server. Configure --data-ciphers-fallback if you want to connect to this server."},
	} {
		got, problems := ClientCipher(tt.ours, tt.fallback, tt.pushed, tt.options)
		if got != tt.want || len(problems) == 0 != (tt.problem == "") || len(problems) > 0 && problems[0] != tt.problem {
			t.Errorf("%s: %q, %q", tt.name, got, problems)
		}
	}
}
