package config

import "testing"

// The sums that verify-hash takes, by stock 2.6.14: SHA1 in a line, SHA256 in a block, which names no algorithm.
func TestVerifyHash(t *testing.T) {
	for _, tt := range []struct {
		text string
		size int // of the sum in bytes, 0: refused
	}{
		{"verify-hash " + sha1A, 20},
		{"verify-hash " + sha1A + " SHA1", 20},
		{"verify-hash " + sha1A + " SHA256", 0},
		{"verify-hash " + fingerA, 0},
		{"verify-hash " + fingerA + " SHA1", 0},
		{"verify-hash " + fingerA + " SHA256", 32},
		{"verify-hash " + fingerA + " MD5", 0},
		{"<verify-hash>\n" + fingerA + "\n</verify-hash>", 32},
		{"<verify-hash>\n" + sha1A + "\n</verify-hash>", 0},
	} {
		o, err := parse(t, "client\ndev tun\nremote a\nca x\ncert x\nkey x\n"+tt.text)
		switch {
		case tt.size == 0 && err == nil:
			t.Errorf("%q is taken", tt.text)
		case tt.size > 0 && err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case tt.size > 0 && (len(o.VerifyHash) != 1 || len(o.VerifyHash[0]) != tt.size):
			t.Errorf("%q: %d sums", tt.text, len(o.VerifyHash))
		}
	}
}
