package server

import (
	"net/netip"
	"testing"

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
