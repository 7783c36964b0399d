package client

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// packet4 is an IPv4 packet with valid checksums.
func packet4(proto byte, src, dst string, offset uint16) []byte {
	p := make([]byte, 20+24)
	p[0], p[8], p[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	binary.BigEndian.PutUint16(p[6:], offset)
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(p[12:], s[:])
	copy(p[16:], d[:])
	binary.BigEndian.PutUint16(p[10:], checksum(p[:20], 0))
	body := p[20:]
	for i := range body {
		body[i] = byte(i * 7)
	}
	at := map[byte]int{6: 16, 17: 6}[proto]
	if offset == 0 && at > 0 {
		body[at], body[at+1] = 0, 0
		pseudo := slices.Concat(s[:], d[:], []byte{0, proto, 0, byte(len(body))})
		binary.BigEndian.PutUint16(body[at:], checksum(append(pseudo, body...), 0))
	}
	return p
}

func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// A rewritten packet is the packet its sender would have made with the other address, and comes back as it was.
func TestClientNAT(t *testing.T) {
	rule := func(source bool) config.ClientNAT {
		return config.ClientNAT{Source: source, Network: netip.MustParseAddr("192.168.0.0"), Netmask: netip.MustParseAddr("255.255.0.0"), Foreign: netip.MustParseAddr("10.64.0.0")}
	}
	for _, tt := range []struct {
		name           string
		source         bool
		src, dst       string
		newSrc, newDst string
	}{
		{"snat", true, "192.168.3.4", "10.8.0.1", "10.64.3.4", "10.8.0.1"},
		{"snat, others", true, "10.8.0.2", "192.168.3.4", "10.8.0.2", "192.168.3.4"},
		{"dnat", false, "10.8.0.2", "192.168.255.1", "10.8.0.2", "10.64.255.1"},
		{"dnat, others", false, "192.168.3.4", "10.8.0.1", "192.168.3.4", "10.8.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, proto := range []byte{1, 6, 17} {
				for _, offset := range []uint16{0, 100} {
					o := &config.Options{}
					o.DevType, o.ClientNAT = config.DevTun, []config.ClientNAT{rule(tt.source)}
					f := newFilter(o, netip.Addr{}, nil)
					p, want := packet4(proto, tt.src, tt.dst, offset), packet4(proto, tt.newSrc, tt.newDst, offset)
					if !f.outbound(p) {
						t.Fatal("the packet was dropped")
					}
					if diff := cmp.Diff(want, p); diff != "" {
						t.Errorf("protocol %d, offset %d (-want +got):\n%s", proto, offset, diff)
					}
					back := packet4(proto, tt.newDst, tt.newSrc, offset)
					f.inbound(back)
					if diff := cmp.Diff(packet4(proto, tt.dst, tt.src, offset), back); diff != "" {
						t.Errorf("protocol %d, offset %d, answer (-want +got):\n%s", proto, offset, diff)
					}
				}
			}
		})
	}
}

// Packets for the server are dropped unless they are allowed; a tunnel without such options has no filter.
func TestRecursiveRouting(t *testing.T) {
	server := netip.MustParseAddr("192.0.2.1")
	o := &config.Options{}
	o.DevType = config.DevTun
	looped := 0
	f := newFilter(o, server, func() { looped++ })
	if f.outbound(packet4(17, "10.8.0.2", "192.0.2.1", 0)) || looped != 1 {
		t.Error("a packet for the server was let through")
	}
	if !f.outbound(packet4(17, "10.8.0.2", "192.0.2.2", 0)) || looped != 1 {
		t.Error("a packet for somebody else was dropped")
	}
	o.AllowRecursiveRouting = true
	if newFilter(o, server, nil) != nil {
		t.Error("a filter that does nothing")
	}
}

// Nothing that comes out of a device makes a filter read beyond it.
func FuzzFilter(f *testing.F) {
	f.Add(packet4(6, "192.168.3.4", "10.64.0.1", 0))
	f.Add(packet4(17, "192.168.3.4", "10.64.0.1", 0)[:21])
	f.Add([]byte{0x4f, 0, 0})
	o := &config.Options{}
	o.DevType = config.DevTun
	for _, source := range []bool{true, false} {
		o.ClientNAT = append(o.ClientNAT, config.ClientNAT{Source: source, Network: netip.MustParseAddr("0.0.0.0"), Netmask: netip.MustParseAddr("0.0.0.0"), Foreign: netip.MustParseAddr("10.64.0.0")})
	}
	fl := newFilter(o, netip.MustParseAddr("192.0.2.1"), func() {})
	f.Fuzz(func(_ *testing.T, p []byte) {
		fl.outbound(p)
		fl.inbound(p)
	})
}

func TestRandomName(t *testing.T) {
	if got := randomName("vpn.example"); len(got) != len("vpn.example")+13 || got[12] != '.' {
		t.Errorf("randomName = %q", got)
	}
	if got := randomName("192.0.2.1"); got != "192.0.2.1" {
		t.Errorf("randomName of an address = %q", got)
	}
}

// The reader of the device tells of a loop while the owner of the connection follows a peer to another address.
func TestLoopBesideFloat(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.1:1194")
	o := &config.Options{}
	o.DevType = config.DevTun
	l := &line{report: &report{lg: logging.Discard()}, peer: transport.Peer{Addr: server}}
	f := newFilter(o, server.Addr(), l.loops())
	var reader sync.WaitGroup
	reader.Go(func() {
		if f.outbound(packet4(17, "10.8.0.2", "192.0.2.1", 0)) {
			t.Error("the packet left")
		}
	})
	l.peer = transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.2:1194")}
	reader.Wait()
}
