package config

import (
	"strings"
	"testing"
)

// Names that stock 2.6.14 refuses in cipher, and old ones that configurations still have.
func TestCipherNames(t *testing.T) {
	for name, want := range map[string]bool{
		"FOO": false, "AES-999-GCM": false, "AES-256-CCM": false, "AES-256-CTR": false, "": false, "AES-256-GCM-": false, "XAES-256-GCM": false,
		"aes-256-gcm": true, "AES256": true, "id-aes256-GCM": true, "none": true, "CHACHA20-POLY1305": true,
		"CAMELLIA-256-CBC": true, "ARIA-128-CFB1": true, "DES-EDE3-CBC": true, "BF-CBC": true, "SM4-OFB": true,
	} {
		if got := isCipher(name); got != want {
			t.Errorf("cipher %q is known: %v, want %v", name, got, want)
		}
	}
}

// A server without dh runs as with `dh none`, and says so.
func TestServerWithoutDH(t *testing.T) {
	o := mustParse(t, "dev tun\nserver 10.8.0.0 255.255.255.0\nca ca\ncert cert\nkey key\n")
	said := false
	for _, n := range o.Notes {
		said = said || strings.Contains(n.Text, "--dh none is assumed")
	}
	if o.DH.Path != "none" || !said {
		t.Errorf("dh %q, notes %+v", o.DH.Path, o.Notes)
	}
}

// A list that allows no encryption is warned of once.
func TestNoEncryptionIsWarnedOfOnce(t *testing.T) {
	o := mustParse(t, minimal+"remote a\ndata-ciphers none:AES-256-GCM\n")
	n := 0
	for _, note := range o.Notes {
		if strings.Contains(note.Text, "cipher 'none' specified for --data-ciphers") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("warned %d times", n)
	}
}
