package data

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

func testBlock() *keys.Block {
	b := new(keys.Block)
	for i := range b {
		b[i] = byte(i*7 + i/128)
	}
	return b
}

// packet is an IPv4-looking payload of n bytes.
func packet(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	b[0] = 0x45
	return b
}

// variants is every way to protect a packet.
func variants() map[string]Params {
	all := make(map[string]Params)
	for _, s := range Ciphers() {
		for _, v2 := range []bool{false, true} {
			p := Params{Cipher: s.Name, V2: v2, PeerID: 77, ReplayWindow: 64, ReplayTime: 15 * time.Second}
			name := fmt.Sprintf("%s/v2=%v", s.Name, v2)
			if s.Mode == AEAD {
				all[name] = p
				if v2 {
					p.Epoch = true
					all[name+"/epoch"] = p
				}
				continue
			}
			for _, d := range []string{"MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "none"} {
				p.Auth = d
				all[name+"/"+d] = p
			}
		}
	}
	return all
}

func TestSealOpen(t *testing.T) {
	for name, p := range variants() {
		t.Run(name, func(t *testing.T) {
			for f := FramingNone; f <= FramingLZ4V2; f++ {
				for _, fragment := range []int{0, 400} {
					p := p
					p.Framing, p.Fragment = f, fragment
					a, b := pair(t, p, 3, testBlock())
					var batch Batch
					payloads := [][]byte{packet(1), packet(20), {0x50, 1, 2}, packet(399), packet(1399), packet(1400)}
					if err := a.SealBatch(&batch, payloads, testNow); err != nil {
						t.Fatal(err)
					}
					var got [][]byte
					for _, pkt := range batch.Packets {
						payload, kind, err := b.Open(pkt, testNow)
						if err != nil {
							t.Fatal(err)
						}
						if kind == Packet {
							got = append(got, bytes.Clone(payload))
						}
					}
					if len(got) != len(payloads) {
						t.Fatalf("%d payloads arrived, want %d", len(got), len(payloads))
					}
					for i := range got {
						if !bytes.Equal(got[i], payloads[i]) {
							t.Errorf("framing %d, fragment %d: payload %d differs", f, fragment, i)
						}
					}
					for _, ping := range []Kind{Ping, Exit} {
						seal := a.SealPing
						if ping == Exit {
							seal = a.SealExit
						}
						pkt, err := seal(nil, testNow)
						if err != nil {
							t.Fatal(err)
						}
						if _, kind, err := b.Open(pkt, testNow); kind != ping || err != nil {
							t.Errorf("kind %d, error %v, want kind %d", kind, err, ping)
						}
					}
				}
			}
		})
	}
}

// TestOverhead: no packet is longer than its payload and Overhead, and CBC reaches it.
func TestOverhead(t *testing.T) {
	for name, p := range variants() {
		a, _ := pair(t, p, 0, testBlock())
		most := 0
		for n := 1; n < 40; n++ {
			pkt, err := a.Seal(nil, packet(n), testNow)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(pkt)-n)
		}
		if most != a.Overhead() {
			t.Errorf("%s: packets are up to %d longer, Overhead says %d", name, most, a.Overhead())
		}
	}
}

// TestTampered flips every bit of a packet: what is authenticated must not open, and nothing may panic.
func TestTampered(t *testing.T) {
	for name, p := range variants() {
		if p.Auth == "none" {
			continue
		}
		a, b := pair(t, p, 0, testBlock())
		pkt, err := a.Seal(nil, packet(33), testNow)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(pkt) {
			bad := bytes.Clone(pkt)
			bad[bit/8] ^= 1 << (bit % 8)
			_, _, err := b.Open(bad, testNow)
			// Only AEAD protects the peer-id, and V1's first byte is never protected; a changed key-id has no key.
			if headerOnly := p.V2 && bit >= 8 && bit < 32; err == nil && (!headerOnly || b.suite.Mode == AEAD) {
				t.Errorf("%s: bit %d changed and the packet still opens", name, bit)
			}
			if err == nil {
				_, b = pair(t, p, 0, testBlock())
			}
		}
		for n := range pkt {
			if _, _, err := b.Open(bytes.Clone(pkt[:n]), testNow); err == nil {
				t.Errorf("%s: %d of %d bytes open", name, n, len(pkt))
			}
		}
		if _, _, err := b.Open(pkt, testNow); err != nil {
			t.Errorf("%s: the packet itself: %v", name, err)
		}
		if b.Counters.Dropped() == 0 {
			t.Errorf("%s: no drop counted", name)
		}
	}
}

func TestWhichKey(t *testing.T) {
	p := Params{Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64}
	c, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	keyID := func(at time.Duration) int {
		pkt, err := c.Seal(nil, packet(20), testNow.Add(at))
		if err == ErrNoKey {
			return -1
		}
		if err != nil {
			t.Fatal(err)
		}
		return int(pkt[0] & 7)
	}
	set := func(id uint8, from time.Duration) {
		if err := c.SetKey(id, testBlock(), testNow.Add(from)); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name string
		do   func()
		at   time.Duration
		want int
	}{
		{"no key", func() {}, 0, -1},
		{"one key, too early", func() { set(0, time.Minute) }, 0, 0},
		{"two keys, neither ready: the primary", func() { set(1, 90*time.Second) }, 0, 1},
		{"lame duck ready", func() {}, 61 * time.Second, 0},
		{"both ready", func() {}, 91 * time.Second, 1},
		{"a third drops the oldest", func() { set(2, time.Hour) }, 91 * time.Second, 1},
		{"lame duck expired", func() { c.DropKey(1) }, 91 * time.Second, 2},
		{"unknown key dropped", func() { c.DropKey(6) }, 91 * time.Second, 2},
		{"last key dropped", func() { c.DropKey(2) }, 91 * time.Second, -1},
	}
	for _, s := range steps {
		s.do()
		if got := keyID(s.at); got != s.want {
			t.Errorf("%s: sent with key %d, want %d", s.name, got, s.want)
		}
	}
}

func TestKeyUsedUp(t *testing.T) {
	for _, cipher := range []string{"AES-256-GCM", "AES-256-CBC"} {
		a, _ := pair(t, Params{Cipher: cipher, V2: true, ReplayWindow: 64}, 0, testBlock())
		startAt(a, renegotiateAt-1)
		for i, want := range []bool{false, true} {
			if _, err := a.Seal(nil, packet(20), testNow); err != nil {
				t.Fatal(err)
			}
			if u, ok := a.PrimaryUsage(); !ok || u.Renegotiate != want {
				t.Errorf("%s, packet %d: renegotiate %v, want %v", cipher, i, u.Renegotiate, want)
			}
		}
		startAt(a, math.MaxUint32)
		for _, want := range []error{nil, ErrExhausted, ErrExhausted} {
			if _, err := a.Seal(nil, packet(20), testNow); err != want {
				t.Errorf("%s: error %v, want %v", cipher, err, want)
			}
		}
	}
	a, _ := pair(t, Params{Cipher: "AES-128-GCM", V2: true, ReplayWindow: 64}, 0, testBlock())
	a.keys.Load().slots[0].use.openBlocks.Store(gcmLimit / 8 * 7)
	if u, _ := a.Usage(0); !u.Renegotiate {
		t.Error("7/8 of the cipher's limit and no renegotiation asked for")
	}
}

func TestEpochMovesOnAtLimit(t *testing.T) {
	a, b := pair(t, Params{Cipher: "AES-256-GCM", V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
	for want := uint16(1); want < 6; want++ {
		s := a.keys.Load().slots[0].send.(*epochSeal)
		pkt, err := a.Seal(nil, packet(20), testNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := uint16(pkt[4])<<8 | uint16(pkt[5]); got != want {
			t.Errorf("sent in epoch %d, want %d", got, want)
		}
		if _, _, err := b.Open(pkt, testNow); err != nil {
			t.Errorf("epoch %d: %v", want, err)
		}
		s.ring[want&1].Load().blocks.Store(gcmLimit)
	}
	// Forged packets of every future epoch change nothing.
	for e := range 40 {
		forged := make([]byte, 60)
		forged[0], forged[5], forged[11] = 0x48, byte(e), 1
		if _, _, err := b.Open(forged, testNow); err == nil {
			t.Errorf("forged packet of epoch %d opens", e)
		}
	}
	pkt, err := a.Seal(nil, packet(20), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Open(pkt, testNow); err != nil {
		t.Errorf("after forged packets: %v", err)
	}
}

// TestSealConcurrently: every packet of several sealing goroutines opens, so ids are unique and nothing is shared.
func TestSealConcurrently(t *testing.T) {
	for _, p := range []Params{
		{Cipher: "AES-256-GCM", V2: true}, {Cipher: "CHACHA20-POLY1305", V2: true, Epoch: true},
		{Cipher: "AES-256-CBC", Auth: "SHA256"}, {Cipher: "AES-128-CFB", Auth: "SHA1"},
	} {
		p.ReplayWindow = 65536
		a, b := pair(t, p, 0, testBlock())
		const workers, each = 4, 200
		var out [workers][][]byte
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					pkt, err := a.Seal(nil, packet(30+i), testNow)
					if err != nil {
						t.Error(err)
					}
					out[w] = append(out[w], pkt)
				}
			})
		}
		wg.Wait()
		for _, pkts := range out {
			for i, pkt := range pkts {
				plain, _, err := b.Open(pkt, testNow)
				if err != nil || !bytes.Equal(plain, packet(30+i)) {
					t.Fatalf("%s: packet %d: %v", p.Cipher, i, err)
				}
			}
		}
	}
}

// TestBatch: packets lie one behind the other, and batches planned in order may be sealed at the same time.
func TestBatch(t *testing.T) {
	a, b := pair(t, Params{Cipher: "AES-256-GCM", V2: true, ReplayWindow: 0}, 0, testBlock())
	var batches [2]Batch
	var in [2][][]byte
	for i := range batches {
		for range 40 {
			in[i] = append(in[i], packet(1400))
		}
		in[i] = append(in[i], nil, packet(10))
	}
	for round := range 3 {
		for i := range batches {
			if err := a.Plan(&batches[i], in[i], testNow); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i := range batches {
			wg.Go(batches[i].Seal)
		}
		wg.Wait()
		for i := range batches {
			if got := len(batches[i].Packets); got != 41 {
				t.Fatalf("%d packets, want 41", got)
			}
			at := 0
			for _, pkt := range batches[i].Packets {
				if &pkt[0] != &batches[i].slab[at] {
					t.Fatal("packets are not adjacent")
				}
				if left := len(batches[i].slab) - at; cap(pkt) < left {
					t.Fatalf("packet at %d: capacity %d does not reach over the %d bytes of its successors", at, cap(pkt), left)
				}
				at += len(pkt)
			}
			for j, pkt := range batches[i].Packets {
				if _, _, err := b.Open(pkt, testNow); err != nil { // window 0 wants every id in order
					t.Fatalf("round %d, batch %d, packet %d: %v", round, i, j, err)
				}
			}
		}
	}
	if got := a.Counters.Drops(ErrEmpty); got != 6 {
		t.Errorf("%d empty payloads counted, want 6", got)
	}
	if sent, got := a.Counters.SealedBytes.Load(), b.Counters.OpenedBytes.Load(); sent != got || sent == 0 {
		t.Errorf("sealed %d bytes, opened %d", sent, got)
	}
}

func TestParamsRefused(t *testing.T) {
	for _, p := range []Params{
		{Cipher: "RC2-CBC"}, {Cipher: "AES-256-CBC", Auth: "MD99"}, {Cipher: "AES-256-GCM", Epoch: true},
		{Cipher: "AES-256-CBC", Epoch: true, V2: true}, {Cipher: "AES-256-GCM", Fragment: 3},
		{Cipher: "AES-256-GCM", Framing: 99}, {Cipher: "AES-256-GCM", Static: true},
	} {
		if _, err := New(p); err == nil {
			t.Errorf("%+v accepted", p)
		}
	}
}

func TestAnswerOCC(t *testing.T) {
	tests := []struct {
		name string
		msg  []byte
		want []byte
	}{
		{"request", []byte{0}, AppendOCC(nil, OCCReply, []byte("V4\x00"))},
		{"mtu request", []byte{4}, AppendOCC(nil, OCCMTUReply, []byte{5, 0xDC, 0, 100})},
		{"load request", []byte{2, 0, 100}, AppendOCC(nil, OCCMTULoad, make([]byte, 100-24-17))},
		{"load request for more than fits", []byte{2, 0xff, 0xff}, AppendOCC(nil, OCCMTULoad, make([]byte, maxLoad-24-17))},
		{"short load request", []byte{2, 0}, nil},
		{"reply", []byte{1}, nil},
		{"empty", nil, nil},
	}
	for _, tt := range tests {
		if got := answerOCC(nil, tt.msg, "V4", 1500, 100, 24); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

// trying returns functions that seal a packet of so many bytes at one end, and report whether one opens at the other.
func trying(t *testing.T, a, b *Channel, size int) (seal func() []byte, opens func([]byte) bool) {
	seal = func() []byte {
		t.Helper()
		pkt, err := a.Seal(nil, packet(size), testNow)
		if err != nil {
			t.Fatal(err)
		}
		return pkt
	}
	return seal, func(pkt []byte) bool {
		_, _, err := b.Open(bytes.Clone(pkt), testNow)
		return err == nil
	}
}

// A receiver that missed whole epochs finds the one its peer has come to, 16 ahead at most, and then knows the one before no more.
func TestLostEpochs(t *testing.T) {
	for lost := 1; lost <= futureEpochs+1; lost++ {
		a, b := pair(t, Params{Cipher: "AES-256-GCM", V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
		s := a.keys.Load().slots[0].send.(*epochSeal)
		seal, opens := trying(t, a, b, 20)
		first, late := seal(), seal()
		if !opens(first) {
			t.Fatal("the first packet does not open")
		}
		if err := s.advance(uint16(lost)); err != nil {
			t.Fatal(err)
		}
		before := seal() // of the last epoch that is lost
		if err := s.advance(uint16(1 + lost)); err != nil {
			t.Fatal(err)
		}
		here, again := seal(), seal()
		if got, want := opens(here), lost <= futureEpochs; got != want {
			t.Fatalf("%d epochs ahead: opens %v, want %v", lost, got, want)
		}
		if lost > futureEpochs {
			if !opens(late) {
				t.Error("a packet from too far ahead ended the present epoch")
			}
			continue
		}
		if opens(here) || !opens(again) {
			t.Errorf("%d epochs ahead: a replay opens, or the next packet does not", lost)
		}
		// The predecessor is the epoch that the receiver was in: what was lost between them stays lost.
		if !opens(late) {
			t.Errorf("%d epochs ahead: a late packet of the epoch before does not open", lost)
		}
		if lost > 1 && opens(before) {
			t.Errorf("%d epochs ahead: a packet of a lost epoch opens", lost)
		}
		// The other direction follows: the receiver now sends in the epoch of its peer.
		pkt, err := b.Seal(nil, packet(20), testNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(pkt[4])<<8 | int(pkt[5]); got != 1+lost {
			t.Errorf("the answer is of epoch %d, want %d", got, 1+lost)
		}
		if _, _, err := a.Open(pkt, testNow); err != nil {
			t.Errorf("the answer: %v", err)
		}
	}
}

// Many short epochs, over renewals, with packets lost and out of order at their borders: each that is not lost opens once.
func TestShortEpochs(t *testing.T) {
	defer func(n uint64) { packetsPerEpoch = n }(packetsPerEpoch)
	packetsPerEpoch = 7
	a, b := pair(t, Params{Cipher: "AES-128-GCM", V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
	r := rand.New(rand.NewPCG(1, 2))
	var waiting [][]byte
	opened := 0
	for n := range 5000 {
		pkt, err := a.Seal(nil, packet(20+n%50), testNow)
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(10) == 0 {
			continue // lost
		}
		waiting = append(waiting, pkt)
		if len(waiting) < 4 {
			continue
		}
		i := r.IntN(len(waiting))
		if _, _, err := b.Open(waiting[i], testNow); err == nil {
			opened++
		} else if age := int(a.keys.Load().slots[0].send.(*epochSeal).now()) - (int(waiting[i][4])<<8 | int(waiting[i][5])); age < 2 {
			t.Fatalf("packet %d, %d epochs old: %v", n, age, err)
		}
		waiting = slices.Delete(waiting, i, i+1)
	}
	epochs := a.keys.Load().slots[0].send.(*epochSeal).now()
	if epochs < 5000/7 || opened < 4000 {
		t.Errorf("%d packets opened, %d epochs", opened, epochs)
	}
}

// The last epoch ends in an error, not in a search for a next one.
func TestLastEpochIsTheLast(t *testing.T) {
	a, _ := pair(t, Params{Cipher: "AES-256-GCM", V2: true, Epoch: true, ReplayWindow: 64}, 0, testBlock())
	s := a.keys.Load().slots[0].send.(*epochSeal)
	last := s.ring[s.cur.Load()&1].Load()
	last.epoch = 0xFFFF
	s.ring[1].Store(last)
	s.cur.Store(0xFFFF)
	if _, err := a.Seal(nil, packet(20), testNow); err != nil {
		t.Fatalf("in the last epoch: %v", err)
	}
	last.ids.Store(lastCounter)
	if _, err := a.Seal(nil, packet(20), testNow); !errors.Is(err, ErrExhausted) {
		t.Errorf("behind the last epoch: %v, want %v", err, ErrExhausted)
	}
	pkts := [][]byte{packet(20), packet(20)}
	if _, err := s.reserve(len(pkts), 40, testNow); !errors.Is(err, ErrExhausted) {
		t.Errorf("a batch behind the last epoch: %v, want %v", err, ErrExhausted)
	}
}
