package server

import (
	"net/netip"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

func TestFullAddress(t *testing.T) {
	peer := func(addr, local string) transport.Peer {
		p := transport.Peer{Addr: netip.MustParseAddrPort(addr)}
		if local != "" {
			p.Local, p.IfIndex = netip.MustParseAddr(local), 1 // the loopback
		}
		return p
	}
	for _, tt := range []struct {
		v6   bool
		peer transport.Peer
		want string
	}{
		{false, peer("10.99.0.2:5", ""), "[AF_INET]10.99.0.2:5"},
		{true, peer("10.99.0.2:5", ""), "[AF_INET6]::ffff:10.99.0.2:5"},
		{true, peer("[fd99::2]:5", ""), "[AF_INET6]fd99::2:5"},
		{false, peer("10.99.0.2:5", "10.99.0.1"), "[AF_INET]10.99.0.2:5 (via [AF_INET]10.99.0.1%lo)"},
		{true, peer("10.99.0.2:5", "10.99.0.1"), "[AF_INET6]::ffff:10.99.0.2:5 (via ::ffff:10.99.0.1%lo)"},
		{true, peer("[fd99::2]:5", "fd99::1"), "[AF_INET6]fd99::2:5 (via fd99::1%lo)"},
	} {
		if got := (&setup{listeners: []listener{{v6: tt.v6}}}).fullAddress(tt.peer); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// The texts are those of 2.6.14 and 2.7.8 for clients on each kind of socket.
func TestOuterAddress(t *testing.T) {
	for _, tt := range []struct{ proto, addr, old, new string }{
		{"udp", "10.99.0.2:4001", "10.99.0.2:4001", "udp4:10.99.0.2:4001"},
		{"udp6", "[fd99::2]:4001", "fd99::2", "udp6:[fd99::2]:4001"},
		{"udp6", "10.99.0.2:4001", "10.99.0.2:4001", "udp6:10.99.0.2:4001"},
		{"udp6", "[::ffff:10.99.0.2]:4001", "10.99.0.2:4001", "udp6:10.99.0.2:4001"},
		{"tcp-server", "10.99.0.2:4001", "10.99.0.2:4001", "tcp4-server:10.99.0.2:4001"},
		{"tcp6-server", "[fd99::2]:4001", "fd99::2", "tcp6-server:[fd99::2]:4001"},
		{"tcp6-server", "10.99.0.2:4001", "10.99.0.2:4001", "tcp6-server:10.99.0.2:4001"},
	} {
		for face, want := range map[config.Compat]string{config.Compat26: tt.old, config.Compat27: tt.new} {
			l := newListener(config.Proto(tt.proto), netip.AddrPort{})
			s := &setup{Options: new(config.Options), listeners: []listener{{}, l}}
			s.Compat = face
			if got := s.outer(transport.Peer{Addr: netip.MustParseAddrPort(tt.addr), Listener: 1}).String(); got != want {
				t.Errorf("%s on %s, face %v: got %s, want %s", tt.addr, tt.proto, face, got, want)
			}
		}
	}
	if got := (outer{proto: "udp4"}).String(); got != "" {
		t.Errorf("no address is %q", got)
	}
}
