package keys

import (
	"encoding/hex"
	"errors"
	"testing"
)

func TestEarly(t *testing.T) {
	tests := []struct {
		name, hex string
		want      EarlyFlags
		err       error
	}{
		{"nothing", "", 0, nil},
		{"resend", "000100020001", EarlyResendWKc, nil},
		{"unknown flag", "000100028001", 0x8001, nil},
		{"unknown type first", "00090003aabbcc000100020001", EarlyResendWKc, nil},
		{"unknown type last", "0001000200010fff0000", EarlyResendWKc, nil},
		{"header cut", "000100", 0, ErrEarly},
		{"value cut", "0001000200", 0, ErrEarly},
		{"flags of one byte", "0001000101", 0, ErrEarly},
		{"one byte behind", "00010002000100", 0, ErrEarly},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseEarly(in)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %#x, %v; want %#x, %v", got, err, tt.want, tt.err)
			}
		})
	}
	if got := hex.EncodeToString(AppendEarlyFlags(nil, EarlyResendWKc)); got != "000100020001" {
		t.Errorf("AppendEarlyFlags gives %s", got)
	}
}

func TestSupportsEarly(t *testing.T) {
	for id, want := range map[uint32]bool{0x0f000001: true, 0x0f00ffff: true, 0xff000001: true, 1: false, 0x0e000001: false} {
		if got := SupportsEarly(id); got != want {
			t.Errorf("%#x: %v, want %v", id, got, want)
		}
	}
}

func FuzzEarly(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 1})
	f.Add([]byte{0, 9, 0, 0, 0, 1, 0, 2, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		flags, err := ParseEarly(in)
		if err != nil {
			return
		}
		if again, err := ParseEarly(AppendEarlyFlags(in[:len(in):len(in)], flags)); err != nil || again != flags {
			t.Errorf("%#x, then %#x, %v", flags, again, err)
		}
	})
}

func TestDigests(t *testing.T) {
	for _, d := range Digests() {
		got, err := ParseDigest(d.Name)
		if err != nil || got.Name != d.Name || got.New().Size() != d.Size {
			t.Errorf("%s: %s of %d bytes, %v", d.Name, got.Name, got.Size, err)
		}
	}
	for in, want := range map[string]string{"sha256": "SHA256", "RSA-SHA512": "SHA512", "SHA2-512/256": "SHA512-256", "SHA-1": "SHA1", "blake2B512": "BLAKE2b512",
		"SHA-256": "SHA256", "sha-512/256": "SHA512-256", "rmd160": "RIPEMD160", "RIPEMD-160": "RIPEMD160", "ripemd": "RIPEMD160"} {
		if got, err := ParseDigest(in); err != nil || got.Name != want {
			t.Errorf("%s: %s, %v; want %s", in, got.Name, err, want)
		}
	}
	for _, in := range []string{"", "none", "SHA257"} {
		if _, err := ParseDigest(in); !errors.Is(err, ErrDigest) {
			t.Errorf("%q: got %v, want %v", in, err, ErrDigest)
		}
	}
}
