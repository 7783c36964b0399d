package transport

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Each peer stays on one link of the group, peers spread over the links, and the port is still ours alone.
func TestListenUDPGroup(t *testing.T) {
	const links, peers, rounds = 4, 40, 5
	group, err := ListenUDPGroup(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")}, links)
	if err != nil {
		t.Fatal(err)
	}
	if len(group) != links {
		t.Fatalf("%d links, want %d", len(group), links)
	}
	local := group[0].LocalAddr()
	for _, n := range []int{1, 2} {
		var bind *BindError
		if _, err := ListenUDPGroup(ListenConfig{Local: local}, n); !errors.As(err, &bind) {
			t.Errorf("second group of %d on the port: %v", n, err)
		}
	}
	var mu sync.Mutex
	seen := make(map[Peer]map[int]int) // packets of a peer by link
	var wg sync.WaitGroup
	for i, l := range group {
		closeLater(t, l)
		if l.LocalAddr() != local {
			t.Errorf("link %d is bound to %v, want %v", i, l.LocalAddr(), local)
		}
		wg.Go(func() {
			b := NewBatch()
			for l.Recv(b) == nil {
				mu.Lock()
				if seen[b.Peer] == nil {
					seen[b.Peer] = make(map[int]int)
				}
				seen[b.Peer][i] += len(b.Packets)
				mu.Unlock()
				_ = group[0].Send(b.Peer, b.Packets[:1])
			}
		})
	}
	for range peers {
		c, err := DialUDP(t.Context(), DialConfig{Remote: local})
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, c)
		for range rounds {
			if err := c.Send(Peer{}, packets(10)); err != nil {
				t.Fatal(err)
			}
			receive(t, c, 1) // an answer through the first link, whoever received
		}
	}
	for _, l := range group {
		_ = l.SetReadDeadline(time.Now())
	}
	wg.Wait()
	used := make(map[int]bool)
	for p, by := range seen {
		if len(by) != 1 {
			t.Errorf("packets of %v came to %d links", p, len(by))
		}
		for i := range by {
			used[i] = true
		}
	}
	if len(seen) != peers || len(used) < 2 {
		t.Errorf("%d peers on %d links, want %d on several", len(seen), len(used), peers)
	}
}
