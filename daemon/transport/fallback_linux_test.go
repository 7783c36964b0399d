package transport_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// A train whose packets exceed the path MTU is refused by the kernel (EINVAL): it goes out in single, fragmented datagrams,
// the log says so once, and trains of smaller packets stay trains.
func TestSegmentationFallback(t *testing.T) {
	a, b := daemontest.NewPair(t)
	a.Run(t, "ip", "link", "set", "eth0", "mtu", "1000")

	var lines []string
	var client, server transport.Link
	b.Do(t, func() (err error) {
		server, err = transport.ListenUDP(transport.ListenConfig{Local: netip.MustParseAddrPort("10.99.0.2:1194")})
		return err
	})
	t.Cleanup(func() { _ = server.Close() })
	a.Do(t, func() (err error) {
		client, err = transport.DialUDP(t.Context(), transport.DialConfig{
			Remote: netip.MustParseAddrPort("10.99.0.2:1194"),
			Socket: transport.Socket{Log: func(_ logging.Level, format string, args ...any) {
				lines = append(lines, fmt.Sprintf(format, args...))
			}},
		})
		return err
	})
	t.Cleanup(func() { _ = client.Close() })
	lines = nil

	for range 3 {
		for _, size := range []int{1400, 900} {
			var pkts [][]byte
			for i := range 10 {
				pkts = append(pkts, bytes.Repeat([]byte{byte(i)}, size))
			}
			if err := client.Send(transport.Peer{}, pkts); err != nil {
				t.Fatal(err)
			}
			_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
			batch := transport.NewBatch()
			calls := 0
			for n := 0; n < len(pkts); calls++ {
				if err := server.Recv(batch); err != nil {
					t.Fatalf("packet %d of %d bytes: %v", n, size, err)
				}
				for _, p := range batch.Packets {
					if !bytes.Equal(p, pkts[n]) {
						t.Fatalf("packet %d of %d bytes differs", n, size)
					}
					n++
				}
			}
			if size == 900 && calls != 1 {
				t.Errorf("small packets took %d calls to receive, want one train", calls)
			}
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "packets of 1400 bytes") {
		t.Errorf("log %q, want one line about 1400 bytes", lines)
	}
}

// A path with a small MTU takes the trains from those alone whose path it is.
func TestSegmentationOfOtherPaths(t *testing.T) {
	a, b := daemontest.NewPair(t)
	b.Run(t, "ip", "addr", "add", "10.99.0.3/24", "dev", "eth0")
	a.Run(t, "ip", "route", "add", "10.99.0.3/32", "dev", "eth0", "mtu", "1000")
	links := make(map[string]transport.Link)
	for addr, n := range map[string]*daemontest.Namespace{"10.99.0.1:1194": a, "10.99.0.2:1194": b, "10.99.0.3:1194": b} {
		n.Do(t, func() (err error) {
			links[addr], err = transport.ListenUDP(transport.ListenConfig{Local: netip.MustParseAddrPort(addr)})
			return err
		})
		t.Cleanup(func() { _ = links[addr].Close() })
	}
	for _, tt := range []struct {
		to    string
		size  int
		whole bool
	}{{"10.99.0.2:1194", 1400, true}, {"10.99.0.3:1194", 1400, false}, {"10.99.0.3:1194", 900, true}, {"10.99.0.2:1194", 1400, true}} {
		var pkts [][]byte
		for i := range 10 {
			pkts = append(pkts, bytes.Repeat([]byte{byte(i)}, tt.size))
		}
		if err := links["10.99.0.1:1194"].Send(transport.Peer{Addr: netip.MustParseAddrPort(tt.to)}, pkts); err != nil {
			t.Fatal(err)
		}
		to := links[tt.to]
		_ = to.SetReadDeadline(time.Now().Add(15 * time.Second))
		batch, calls := transport.NewBatch(), 0
		for n := 0; n < len(pkts); n += len(batch.Packets) {
			if err := to.Recv(batch); err != nil {
				t.Fatalf("%d bytes to %s, packet %d: %v", tt.size, tt.to, n, err)
			}
			calls++
		}
		if whole := calls == 1; whole != tt.whole {
			t.Errorf("%d bytes to %s: as one train: %v, want %v", tt.size, tt.to, whole, tt.whole)
		}
	}
}
