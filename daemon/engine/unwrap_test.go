package engine

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Each packet that cannot be unwrapped is refused for its own reason, in the words of stock 2.6.14 where those are known.
func TestUnwrapLines(t *testing.T) {
	key := func() *keys.StaticKey {
		k, err := keys.GenerateStaticKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	digest, err := keys.ParseDigest("SHA1")
	if err != nil {
		t.Fatal(err)
	}
	wrapKey := &keys.WrapKey{1}
	plain, crypt := ctrlwrap.Server{}, ctrlwrap.Server{TLSCrypt: key()}
	auth, v2 := ctrlwrap.Server{TLSAuthKey: key(), Digest: digest, Direction: keys.Bidirectional}, ctrlwrap.Server{WrapKey: wrapKey}
	packet := func(op wire.Opcode, n int) []byte {
		return append(wire.AppendControlHeader(nil, op, 0, wire.SessionID{1}), bytes.Repeat([]byte{7}, n)...)
	}
	reset, resetV3 := wire.OpControlHardResetClientV2, wire.OpControlHardResetClientV3
	for _, tt := range []struct {
		name   string
		server ctrlwrap.Server
		w      Wrapping
		packet []byte
		want   []string
	}{
		{"plain, five bytes", plain, Unwrapped, packet(reset, 0)[:5], []string{"TLS Error: packet too short from X"}},
		{"plain, no session id", plain, Unwrapped, append([]byte{0x38}, make([]byte, 30)...), []string{"TLS Error: session-id not found in packet from X"}},
		{"plain, a data packet", plain, Unwrapped, append([]byte{0x48}, make([]byte, 30)...), []string{"TLS Error: packet of the other channel from X"}},
		{"plain, an obsolete opcode", plain, Unwrapped, append([]byte{0x08}, make([]byte, 30)...), []string{"TLS Error: unknown or obsolete opcode from X"}},
		{"plain, a wrapped client key", plain, Unwrapped, packet(resetV3, 400), []string{"TLS Error: can not extract tls-crypt-v2 client key from X"}},
		{"tls-auth, short", auth, TLSAuth, packet(reset, 5), []string{"TLS Error: cannot locate HMAC in incoming packet from X"}},
		{"tls-auth, another key", auth, TLSAuth, packet(reset, 60), []string{"Authenticate/Decrypt packet error: packet HMAC authentication failed", "TLS Error: incoming packet authentication failed from X"}},
		{"tls-auth, no session id", auth, TLSAuth, append([]byte{0x38}, make([]byte, 60)...), []string{"TLS Error: session-id not found in packet from X"}},
		{"tls-crypt, short", crypt, TLSCrypt, packet(reset, 5), []string{"tls-crypt unwrap error: packet too short", "TLS Error: tls-crypt unwrapping failed from X"}},
		{"tls-crypt, another key", crypt, TLSCrypt, packet(reset, 80), []string{"tls-crypt unwrap error: packet authentication failed", "TLS Error: tls-crypt unwrapping failed from X"}},
		{"tls-crypt, a wrapped client key", crypt, TLSCrypt, packet(resetV3, 400), []string{"TLS Error: can not extract tls-crypt-v2 client key from X"}},
		{"tls-crypt-v2, none in the packet", v2, TLSCrypt, packet(reset, 80), []string{"TLS Error: could not determine wrapping from X"}},
		{"tls-crypt-v2, no room for one", v2, TLSCrypt, packet(resetV3, 5), []string{"TLS Error: can not extract tls-crypt-v2 client key from X"}},
		{"tls-crypt-v2, its length is wrong", v2, TLSCrypt, append(packet(resetV3, 700), 0, 1), []string{"TLS Error: can not extract tls-crypt-v2 client key from X"}},
		{"tls-crypt-v2, of another server", v2, TLSCrypt, append(packet(resetV3, 700), 1, 0x40), []string{"TLS Error: can not extract tls-crypt-v2 client key from X"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ctrlwrap.NewPrototype(tt.server).Verify(tt.packet)
			if err == nil {
				t.Fatal("the packet is accepted")
			}
			if got := UnwrapLines(err, tt.w, "X"); !slices.Equal(got, tt.want) {
				t.Errorf("%v: got %q, want %q", err, got, tt.want)
			}
		})
	}

	// A packet that comes again.
	w := ctrlwrap.NewTLSCrypt(crypt.TLSCrypt, keys.Client)
	now := time.Now()
	pkt, err := w.Wrap(nil, reset, 0, wire.SessionID{1}, []byte{0}, now)
	if err != nil {
		t.Fatal(err)
	}
	s := ctrlwrap.NewTLSCrypt(crypt.TLSCrypt, keys.Server)
	for n := range 2 {
		_, _, _, _, err := s.Unwrap(bytes.Clone(pkt), now)
		if n == 0 {
			if err != nil {
				t.Fatal(err)
			}
			s.Commit(now)
			continue
		}
		if got := UnwrapLines(err, TLSCrypt, "X"); !strings.Contains(got[0], "replay") {
			t.Errorf("a replay: %q", got)
		}
	}
}
