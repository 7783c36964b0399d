package session

import "testing"

// A key of a cipher with short blocks carries 64 MiB unless reneg-bytes says otherwise; others go on.
func TestUsageLimit(t *testing.T) {
	for _, tt := range []struct {
		cipher         string
		bytes, packets int64
		want           Usage
	}{
		{"AES-256-GCM", -1, 0, Usage{}},
		{"DES-EDE3-CBC", -1, 0, Usage{Bytes: 64 << 20}},
		{"BF-CFB", -1, 9, Usage{Bytes: 64 << 20, Packets: 9}},
		{"BF-CBC", 0, 0, Usage{}},
		{"BF-CBC", 1000, 0, Usage{Bytes: 1000}},
		{"AES-128-CBC", 1000, 10, Usage{Bytes: 1000, Packets: 10}},
	} {
		terms := Terms{Cipher: tt.cipher}
		if got := terms.UsageLimit(tt.bytes, tt.packets); got != tt.want {
			t.Errorf("%s, reneg-bytes %d: %+v, want %+v", tt.cipher, tt.bytes, got, tt.want)
		}
	}
}
