package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func closeLater(t testing.TB, l interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func udpPair(t testing.TB, local string, s Socket) (client, server Link) {
	t.Helper()
	server, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort(local), Socket: s})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, server)
	client, err = DialUDP(t.Context(), DialConfig{Remote: server.LocalAddr(), Socket: s})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, client)
	return client, server
}

// differ compares packets. It leaves the comparison of single bytes, which is slow, to packets that differ.
func differ(want, got [][]byte) string {
	if slices.EqualFunc(want, got, bytes.Equal) {
		return ""
	}
	return cmp.Diff(want, got)
}

// receive reads until n packets came and returns copies.
func receive(t testing.TB, l Link, n int) (Peer, [][]byte) {
	t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := NewBatch()
	var out [][]byte
	for len(out) < n {
		if err := l.Recv(b); err != nil {
			t.Fatalf("after %d of %d packets: %v", len(out), n, err)
		}
		for _, p := range b.Packets {
			out = append(out, bytes.Clone(p))
		}
	}
	return b.Peer, out
}

// packets makes packets of the given sizes in one slab, adjacent, each with its own content.
func packets(sizes ...int) [][]byte {
	slab := make([]byte, 0, slabSize)
	var out [][]byte
	for i, n := range sizes {
		at := len(slab)
		for j := range n {
			slab = append(slab, byte(i*31+j))
		}
		out = append(out, slab[at:])
	}
	return out
}

func repeat(size, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = size
	}
	return out
}

// What goes in comes out, in order, with and without offload.
func TestUDPRoundTrip(t *testing.T) {
	tests := []struct {
		name  string
		sizes []int
	}{
		{"one", []int{100}},
		{"train", repeat(1400, 40)},
		{"train with tail", append(repeat(1400, 20), 77)},
		{"mixed", []int{1400, 1400, 20, 20, 20, 1300, 1, 2, 3, 3, 2, 1}},
		{"more than a send takes", repeat(100, 130)},
		{"single bytes", repeat(1, 64)},
		{"large", []int{20000, 20000, 20000, 20000}},
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, plain := range []bool{false, true} {
			for _, tt := range tests {
				t.Run(fmt.Sprintf("%s/plain=%v/%s", addr, plain, tt.name), func(t *testing.T) {
					client, server := udpPair(t, addr, Socket{DisableOffload: plain})
					want := packets(tt.sizes...)
					if err := client.Send(Peer{}, want); err != nil {
						t.Fatal(err)
					}
					peer, got := receive(t, server, len(want))
					if diff := differ(want, got); diff != "" {
						t.Errorf("to server (-want +got):\n%s", diff)
					}
					if peer.Addr != client.LocalAddr() {
						t.Errorf("peer %v, want %v", peer.Addr, client.LocalAddr())
					}
					// Scattered in memory on the way back: the same packets.
					var scattered [][]byte
					for _, p := range want {
						scattered = append(scattered, bytes.Clone(p))
					}
					if err := server.Send(peer, scattered); err != nil {
						t.Fatal(err)
					}
					_, got = receive(t, client, len(want))
					if diff := differ(want, got); diff != "" {
						t.Errorf("to client (-want +got):\n%s", diff)
					}
					total := 0
					for _, n := range tt.sizes {
						total += n
					}
					if got := client.Stats().SentBytes.Load(); got != uint64(total) {
						t.Errorf("client counted %d bytes sent, want %d", got, total)
					}
					if got := server.Stats().RecvPackets.Load(); got != uint64(len(want)) {
						t.Errorf("server counted %d packets, want %d", got, len(want))
					}
				})
			}
		}
	}
}

// A train arrives as one batch where the kernel has both offloads: the fast path is really taken.
func TestUDPOffloadInUse(t *testing.T) {
	client, server := udpPair(t, "127.0.0.1:0", Socket{})
	if err := client.Send(Peer{}, packets(repeat(1000, 30)...)); err != nil {
		t.Fatal(err)
	}
	b := NewBatch()
	if err := server.Recv(b); err != nil {
		t.Fatal(err)
	}
	if len(b.Packets) != 30 {
		t.Errorf("first batch has %d packets, want 30", len(b.Packets))
	}
	if c := cap(b.Packets[3]); c != 1000 {
		t.Errorf("capacity of a packet is %d, so it reaches into its neighbour", c)
	}
}

// A peer whose packets come from port 0, to which nothing can be sent, costs the others no trains.
func TestTrainsToNowhere(t *testing.T) {
	client, server := udpPair(t, "127.0.0.1:0", Socket{})
	if err := client.Send(Peer{}, packets(10)); err != nil {
		t.Fatal(err)
	}
	b := NewBatch()
	if err := server.Recv(b); err != nil {
		t.Fatal(err)
	}
	there := b.Peer
	nowhere := there
	nowhere.Addr = netip.AddrPortFrom(there.Addr.Addr(), 0)
	for _, size := range []int{1000, 20} {
		if err := server.Send(nowhere, packets(repeat(size, 10)...)); err == nil {
			t.Fatal("packets to port 0 were sent")
		}
	}
	if err := server.Send(there, packets(repeat(1000, 30)...)); err != nil {
		t.Fatal(err)
	}
	if err := client.Recv(b); err != nil {
		t.Fatal(err)
	}
	if len(b.Packets) != 30 {
		t.Errorf("first batch has %d packets, want 30", len(b.Packets))
	}
}

func TestTrain(t *testing.T) {
	l := &udpLink{}
	l.segmentLimit.Store(1450)
	apart := func(sizes ...int) [][]byte {
		var out [][]byte
		for _, n := range sizes {
			out = append(out, make([]byte, n))
		}
		return out
	}
	tests := []struct {
		name   string
		pkts   [][]byte
		want   int
		copied bool
	}{
		{"single", packets(1400), 1, false},
		{"equal", packets(1400, 1400, 1400), 3, false},
		{"short tail ends it", packets(1400, 1400, 90, 90), 3, false},
		{"longer follows", packets(90, 1400), 1, false},
		{"over the limit", packets(1451, 1451), 1, false},
		{"empty", packets(0, 10), 1, false},
		{"64 at most", packets(repeat(10, 80)...), 64, false},
		{"64 KB at most", packets(repeat(1400, 46)...)[:46], 46, false},
		{"apart in memory", apart(100, 100, 100), 3, true},
		{"gap in memory", func() [][]byte { p := packets(10, 5, 10); return [][]byte{p[0], p[2]} }(), 2, true},
		{"clipped capacity", func() [][]byte { p := packets(10, 10); p[0] = p[0][:10:10]; return p }(), 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := &sendScratch{}
			n, whole := l.joined(tt.pkts, netip.Addr{}, sc)
			if n != tt.want {
				t.Fatalf("train of %d, want %d", n, tt.want)
			}
			if n > 1 {
				if diff := cmp.Diff(bytes.Join(tt.pkts[:n], nil), whole); diff != "" {
					t.Errorf("content (-want +got):\n%s", diff)
				}
			}
			if copied := sc.slab != nil; copied != tt.copied {
				t.Errorf("copied %v, want %v", copied, tt.copied)
			}
		})
	}
}

func TestUDPFloat(t *testing.T) {
	a, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, a)
	other, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, other)
	c, err := DialUDP(t.Context(), DialConfig{Remote: a.LocalAddr(), Local: netip.MustParseAddrPort("127.0.0.1:0"), Float: true})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, c)
	if err := c.Send(Peer{}, packets(5)); err != nil {
		t.Fatal(err)
	}
	peer, _ := receive(t, a, 1)
	if err := other.Send(peer, packets(7)); err != nil {
		t.Fatal(err)
	}
	from, got := receive(t, c, 1)
	if from.Addr != other.LocalAddr() || len(got[0]) != 7 {
		t.Errorf("got %d bytes from %v, want 7 from %v", len(got[0]), from, other.LocalAddr())
	}
	if c.RemoteAddr() != a.LocalAddr() {
		t.Errorf("remote %v, want %v", c.RemoteAddr(), a.LocalAddr())
	}
}

// A multihomed server answers from the address it was asked at, on IPv4 and dual stack sockets.
func TestUDPMultihome(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family Family
		to     string
	}{
		{"v4", FamilyIPv4, "127.0.0.2"},
		{"dual stack, v4 peer", FamilyIPv6, "127.0.0.3"},
		{"dual stack, v6 peer", FamilyIPv6, "::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ListenUDP(ListenConfig{Family: tt.family, Multihome: MultihomeRouted})
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, s)
			to := netip.MustParseAddr(tt.to)
			c, err := DialUDP(t.Context(), DialConfig{Remote: netip.AddrPortFrom(to, s.LocalAddr().Port())})
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, c)
			if err := c.Send(Peer{}, packets(repeat(100, 3)...)); err != nil {
				t.Fatal(err)
			}
			peer, _ := receive(t, s, 3)
			if peer.Local != to || peer.IfIndex == 0 {
				t.Errorf("local %v interface %d, want %v and an interface", peer.Local, peer.IfIndex, to)
			}
			if want := "%lo)"; !strings.HasSuffix(peer.String(), want) || !strings.Contains(peer.String(), " (via [AF_INET") {
				t.Errorf("printed %q, want (via … %s", peer, want)
			}
			// The client is connected: it hears only answers from the address it sent to.
			if err := s.Send(peer, packets(repeat(50, 4)...)); err != nil {
				t.Fatal(err)
			}
			receive(t, c, 4)
		})
	}
}

func TestUDPErrors(t *testing.T) {
	client, server := udpPair(t, "127.0.0.1:0", Socket{})
	fd := client.(*udpLink).fd

	_, err := ListenUDP(ListenConfig{Local: server.LocalAddr()})
	want := fmt.Sprintf("TCP/UDP: Socket bind failed on local address [AF_INET]%v: Address already in use (errno=98)", server.LocalAddr())
	if err == nil || err.Error() != want {
		t.Errorf("second bind: %v, want %s", err, want)
	}
	_, err = DialUDP(t.Context(), DialConfig{Remote: server.LocalAddr(), Local: server.LocalAddr()})
	if err == nil || err.Error() != want {
		t.Errorf("client bind: %v, want %s", err, want)
	}

	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Send(Peer{}, packets(1)); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
	err = client.Recv(NewBatch())
	if want := fmt.Sprintf("read UDPv4 [ECONNREFUSED]: Connection refused (fd=%d,code=111)", fd); err == nil || err.Error() != want {
		t.Errorf("read: %v, want %s", err, want)
	}
	if !Transient(err) {
		t.Errorf("%v is not transient", err)
	}

	_ = client.SetReadDeadline(time.Now().Add(-time.Second))
	if err := client.Recv(NewBatch()); !errors.Is(err, os.ErrDeadlineExceeded) || Transient(err) {
		t.Errorf("deadline: %v", err)
	}
	_ = client.SetReadDeadline(time.Time{})
	var wg sync.WaitGroup
	wg.Go(func() { err = client.Recv(NewBatch()) })
	_ = client.Close()
	wg.Wait()
	if !errors.Is(err, net.ErrClosed) || Transient(err) {
		t.Errorf("after close: %v", err)
	}
	if err := client.Send(Peer{}, packets(1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
}

func BenchmarkUDP(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(fmt.Sprintf("plain=%v", plain), func(b *testing.B) {
			client, server := udpPair(b, "127.0.0.1:0", Socket{DisableOffload: plain})
			pkts := packets(repeat(1400, 40)...)
			batch := NewBatch()
			b.SetBytes(1400)
			for i := 0; i < b.N; i += len(pkts) {
				if err := client.Send(Peer{}, pkts); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < len(pkts); n += len(batch.Packets) {
					if err := server.Recv(batch); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func TestResolve(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tests := []struct {
		host   string
		family Family
		want   string
		reason string
	}{
		{"127.0.0.1", FamilyAny, "127.0.0.1", ""},
		{"::1", FamilyIPv6, "::1", ""},
		{"::ffff:10.0.0.1", FamilyIPv4, "10.0.0.1", ""},
		{"127.0.0.1", FamilyIPv6, "", "Address family for hostname not supported"},
		{"localhost", FamilyIPv4, "127.0.0.1", ""},
	}
	for _, tt := range tests {
		got, err := Resolve(ctx, tt.host, tt.family)
		if tt.reason != "" {
			if err == nil || ResolveReason(err) != tt.reason {
				t.Errorf("%s: %v, want %s", tt.host, err, tt.reason)
			}
			continue
		}
		if err != nil || len(got) == 0 || got[0].String() != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.host, got, err, tt.want)
		}
	}
	for err, want := range map[*net.DNSError]string{
		{IsNotFound: true}:  "Name or service not known",
		{IsTemporary: true}: "Temporary failure in name resolution",
	} {
		if got := ResolveReason(err); got != want {
			t.Errorf("%+v: %s, want %s", err, got, want)
		}
	}
}

func TestAddrText(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4:1194": "[AF_INET]1.2.3.4:1194", "0.0.0.0:1194": "[AF_INET][undef]:1194",
		"[fe80::1%eth0]:5": "[AF_INET6]fe80::1%eth0:5", "[::]:1194": "[AF_INET6][undef]:1194",
	} {
		if got := AddrText(netip.MustParseAddrPort(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := AddrText(netip.AddrPort{}); got != "[AF_UNSPEC]" {
		t.Errorf("zero: %s", got)
	}
}
