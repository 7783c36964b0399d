package data

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Forged packets of any epoch and size are refused, change nothing of what is received, and after the first of each epoch cost no memory.
func TestForgedEpochs(t *testing.T) {
	for _, suite := range []string{"AES-256-GCM", "CHACHA20-POLY1305"} {
		a, b := pair(t, Params{Cipher: suite, V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
		send := a.keys.Load().slots[0].send.(*epochSeal)
		recv := b.keys.Load().slots[0].recv.(*epochOpen)
		seal, opens := trying(t, a, b, 40)
		for range 20 { // the epoch before has a key, too
			if err := send.advance(send.now() + 1); err != nil || !opens(seal()) {
				t.Fatalf("%s: epoch %d: %v", suite, send.now(), err)
			}
		}
		old := seal()
		if !opens(old) {
			t.Fatal("a packet does not open")
		}
		at := recv.cur.key.epoch
		epochs := []uint16{0, 1, at - 2, at - 1, at, at + 1, at + 2, at + futureEpochs, at + futureEpochs + 1, lastEpoch, 0xFFFE, 0xFFFF}
		for e := at + 1; e <= at+futureEpochs; e++ {
			epochs = append(epochs, e)
		}
		var forged [][]byte
		for _, epoch := range epochs {
			for _, counter := range []uint64{0, 1, 1 << 20, lastCounter} {
				pkt := seal()
				binary.BigEndian.PutUint64(pkt[4:], uint64(epoch)<<48|counter)
				forged = append(forged, pkt)
			}
		}
		whole := seal()
		for n := range whole {
			forged = append(forged, whole[:n])
		}
		forged = append(forged, append(bytes.Clone(whole), 0), append(bytes.Clone(whole), make([]byte, 2000)...), old)
		scratch := make([]byte, 0, 4096)
		shoot := func() {
			for _, pkt := range forged {
				if _, _, err := b.Open(append(scratch, pkt...), testNow); err == nil {
					t.Fatalf("%s: a forged packet opens: %x", suite, pkt[:min(len(pkt), 12)])
				}
			}
		}
		shoot()
		if n := testing.AllocsPerRun(20, shoot); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations for %d forged packets", suite, n, len(forged))
		}
		if recv.cur.key.epoch != at || b.keys.Load().slots[0].send.(*epochSeal).now() != at {
			t.Errorf("%s: epoch %d became %d", suite, at, recv.cur.key.epoch)
		}
		if !opens(whole) || opens(whole) {
			t.Errorf("%s: after forged packets the real one does not open, or twice", suite)
		}
		if err := send.advance(at + futureEpochs); err != nil || !opens(seal()) {
			t.Errorf("%s: a real packet of a future epoch does not open (%v)", suite, err)
		}
	}
}

// A peer with keys that hurries through all epochs takes our direction along, up to the last one, and no further. A renewal is asked for long before.
func TestPeerHurriesThroughEpochs(t *testing.T) {
	a, b := pair(t, Params{Cipher: "AES-256-GCM", V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
	send := a.keys.Load().slots[0].send.(*epochSeal)
	asked := uint16(0)
	for send.now() < 0xFFFF {
		if err := send.advance(min(send.now(), 0xFFFF-futureEpochs) + futureEpochs); err != nil {
			t.Fatal(err)
		}
		pkt, err := a.Seal(nil, packet(20), testNow)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Open(bytes.Clone(pkt), testNow); err != nil {
			t.Fatalf("epoch %d: %v", send.now(), err)
		}
		if _, _, err := b.Open(pkt, testNow); err == nil {
			t.Fatalf("epoch %d: a replay opens", send.now())
		}
		if use, _ := b.PrimaryUsage(); use.Renegotiate && asked == 0 {
			asked = send.now()
		}
	}
	if asked == 0 || asked > lastEpoch+futureEpochs {
		t.Errorf("a renewal was asked for at epoch %#x", asked)
	}
	if pkt, err := b.Seal(nil, packet(20), testNow); err != nil || binary.BigEndian.Uint16(pkt[4:]) != 0xFFFF {
		t.Errorf("in the last epoch: %v", err)
	}
}
