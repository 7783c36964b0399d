package data

import "testing"

// fast are the parameter sets whose packets must not cost memory.
func fast() map[string]Params {
	return map[string]Params{
		"AES-256-GCM":       {Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64, MSSLimit: 1400},
		"AES-128-GCM":       {Cipher: "AES-128-GCM", V2: true, ReplayWindow: 64},
		"CHACHA20-POLY1305": {Cipher: "CHACHA20-POLY1305", V2: true, ReplayWindow: 64},
		"epoch":             {Cipher: "AES-256-GCM", V2: true, Epoch: true, ReplayWindow: 64},
		"stub":              {Cipher: "AES-256-GCM", V2: true, Framing: FramingStub, ReplayWindow: 64},
		"AES-256-CBC":       {Cipher: "AES-256-CBC", Auth: "SHA256", V2: true, ReplayWindow: 64},
		"AES-128-CBC-SHA1":  {Cipher: "AES-128-CBC", Auth: "SHA1", V2: true, ReplayWindow: 64},
		"AES-256-CFB":       {Cipher: "AES-256-CFB", Auth: "SHA1", V2: true, ReplayWindow: 64},
	}
}

func TestSealOpenAllocs(t *testing.T) {
	for name, p := range fast() {
		a, b := pair(t, p, 0, testBlock())
		buf, payload := make([]byte, 0, 2048), packet(1400)
		allocs := testing.AllocsPerRun(200, func() {
			pkt, err := a.Seal(buf, payload, testNow)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = b.Open(pkt, testNow); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 && !raceEnabled { // the race detector empties pools at random
			t.Errorf("%s: %v allocations for a packet", name, allocs)
		}
	}
}

func TestBatchAllocs(t *testing.T) {
	a, b := pair(t, fast()["AES-256-GCM"], 0, testBlock())
	var batch Batch
	payloads := make([][]byte, 64)
	for i := range payloads {
		payloads[i] = packet(1400)
	}
	allocs := testing.AllocsPerRun(50, func() {
		if err := a.SealBatch(&batch, payloads, testNow); err != nil {
			t.Fatal(err)
		}
		for _, pkt := range batch.Packets {
			if _, _, err := b.Open(pkt, testNow); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 && !raceEnabled {
		t.Errorf("%v allocations for a batch", allocs)
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, p := range fast() {
		b.Run(name, func(b *testing.B) {
			c, _ := pair(b, p, 0, testBlock())
			buf, payload := make([]byte, 0, 2048), packet(1400)
			b.SetBytes(1400)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Seal(buf, payload, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, p := range fast() {
		b.Run(name, func(b *testing.B) {
			p.NoReplay = true
			own, peer := pair(b, p, 0, testBlock())
			pkt, err := own.Seal(nil, packet(1400), testNow)
			if err != nil {
				b.Fatal(err)
			}
			work := make([]byte, len(pkt))
			b.SetBytes(1400)
			b.ReportAllocs()
			for b.Loop() {
				copy(work, pkt)
				if _, _, err := peer.Open(work, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSealBatch reports the time of one packet in batches of 64.
func BenchmarkSealBatch(b *testing.B) {
	c, _ := pair(b, fast()["AES-256-GCM"], 0, testBlock())
	var batch Batch
	payloads := make([][]byte, 64)
	for i := range payloads {
		payloads[i] = packet(1400)
	}
	b.SetBytes(64 * 1400)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SealBatch(&batch, payloads, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewChannel shows what a session costs in memory.
func BenchmarkNewChannel(b *testing.B) {
	block := testBlock()
	b.ReportAllocs()
	for b.Loop() {
		c, err := New(Params{Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.SetKey(0, block, testNow); err != nil {
			b.Fatal(err)
		}
	}
}
