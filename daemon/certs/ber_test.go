package certs_test

import (
	"bytes"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// Whatever comes becomes elements of definite length that stay as they are from then on, or an error; and a part that is cut is one.
func FuzzDER(f *testing.F) {
	for _, s := range []string{"\x30\x80\x04\x01x\x00\x00", "\x24\x80\x04\x01x\x04\x01y\x00\x00", "\x30\x03\x02\x01\x05", "\x30\x80\x30\x80", "\xbf\x81\x01\x00", "\x04\x84\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, ber []byte) {
		der, err := certs.DER(ber)
		if err != nil {
			return
		}
		if len(der) > len(ber) {
			t.Fatalf("%x grew to %x", ber, der)
		}
		if again, err := certs.DER(der); err != nil || !bytes.Equal(again, der) {
			t.Fatalf("%x, then %x, %v", der, again, err)
		}
	})
}
