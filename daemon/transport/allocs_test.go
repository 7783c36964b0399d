//go:build !race

// The race detector's pools forget on purpose, so allocations are counted without it.

package transport

import "testing"

func TestUDPAllocs(t *testing.T) {
	for _, plain := range []bool{false, true} {
		client, server := udpPair(t, "127.0.0.1:0", Socket{DisableOffload: plain})
		pkts := packets(repeat(1200, 10)...)
		b := NewBatch()
		got := testing.AllocsPerRun(100, func() {
			if err := client.Send(Peer{}, pkts); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(pkts); n += len(b.Packets) {
				if err := server.Recv(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := server.Send(b.Peer, pkts[:1]); err != nil {
				t.Fatal(err)
			}
			if err := client.Recv(b); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("plain=%v: %v allocations per round", plain, got)
		}
	}
}

func TestTCPAllocs(t *testing.T) {
	c, s := tcpPair(t, Stream{QueueLimit: 1000}, Stream{})
	pkts := packets(repeat(1200, 10)...)
	b := NewBatch()
	round := func() {
		if err := c.Send(Peer{}, pkts); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(pkts); n += len(b.Packets) {
			if err := s.Recv(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 10 {
		round() // buffers grow to their size
	}
	if got := testing.AllocsPerRun(100, round); got != 0 {
		t.Errorf("%v allocations per 10 packets", got)
	}
}
