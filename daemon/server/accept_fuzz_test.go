package server

import (
	"slices"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Any sequence of two packets from an unknown address gets at most one answer each, none longer than amplification allows,
// and lets nobody in without a cookie.
func FuzzPreHandshake(f *testing.F) {
	plain := ctrlwrap.NewPlain()
	add := func(w ctrlwrap.Wrapper, op wire.Opcode, b wire.ControlBody) {
		pkt, err := w.Wrap(nil, op, 0, clientSession, b.Append(nil, op), time.Unix(1_800_000_000, 0))
		if err != nil {
			f.Fatal(err)
		}
		for wrap := range uint8(3) {
			f.Add(pkt, pkt, wrap)
		}
	}
	key := new(keys.StaticKey)
	add(plain, wire.OpControlHardResetClientV2, wire.ControlBody{})
	add(plain, wire.OpControlV1, wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{1}, MsgID: 1, Payload: []byte("x")})
	add(plain, wire.OpAckV1, wire.ControlBody{Acks: []uint32{0}, PeerSession: wire.SessionID{1}})
	add(ctrlwrap.NewTLSCrypt(key, keys.Client), wire.OpControlHardResetClientV2, wire.ControlBody{})
	f.Fuzz(func(t *testing.T, first, second []byte, wrap uint8) {
		digest, err := keys.ParseDigest("SHA1")
		if err != nil {
			t.Fatal(err)
		}
		cfg := []ctrlwrap.Server{{}, {TLSCrypt: key}, {TLSAuthKey: key, Digest: digest}}[wrap%3]
		d := newDoor(t, cfg, plain)
		for n, pkt := range [][]byte{first, second} {
			before := slices.Clone(pkt)
			d.handle(d.wall, d.at, pkt, d.now)
			if len(d.wall.sent) > n+1 {
				t.Fatalf("%d answers to %d packets", len(d.wall.sent), n+1)
			}
			// An answer is a reset with an acknowledgement: 12 bytes more than the shortest question.
			if k := len(d.wall.sent); k > 0 && len(d.wall.sent[k-1]) > len(before)+12 && k == n+1 {
				t.Fatalf("an answer of %d bytes to %d", len(d.wall.sent[k-1]), len(before))
			}
		}
		if len(d.admitted) != 0 { // the cookie's key is new: nobody can know one
			t.Fatalf("%x and %x are let in", first, second)
		}
	})
}
