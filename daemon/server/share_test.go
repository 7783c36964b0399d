package server

import "testing"

func TestSpeaksOpenVPN(t *testing.T) {
	for _, tt := range []struct {
		name string
		head []byte
		want bool
	}{
		{"plain reset", []byte{0, 14, 7 << 3}, true},
		{"tls-auth reset", []byte{0, 42, 7 << 3}, true},
		{"reset with a wrapped key", []byte{2, 0x5c, 10 << 3}, true},
		{"key id 1", []byte{0, 14, 7<<3 | 1}, false},
		{"too short", []byte{0, 13, 7 << 3}, false},
		{"too long", []byte{0x20, 0, 7 << 3}, false},
		{"server's reset", []byte{0, 26, 8 << 3}, false},
		{"TLS", []byte{0x16, 3, 1}, false},
		{"GET", []byte("GET"), false},
		{"POST", []byte("POS"), false},
		{"SSH", []byte("SSH"), false},
	} {
		if got := speaksOpenVPN(tt.head); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
