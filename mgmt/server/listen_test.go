package server_test

import (
	"net"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt/server"
)

// A listener on an address literal is reached by the family of the literal; by "::" both, as with stock.
func TestListenFamily(t *testing.T) {
	for _, tt := range []struct {
		address string
		v4, v6  bool
	}{
		{"0.0.0.0:0", true, false}, {"127.0.0.1:0", true, false}, {"[::1]:0", false, true}, {"[::]:0", true, true},
		{"[::ffff:127.0.0.1]:0", true, false},
	} {
		ln, err := server.Listen("tcp", tt.address)
		if err != nil {
			t.Errorf("%s: %v", tt.address, err)
			continue
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		for ip, want := range map[string]bool{"127.0.0.1": tt.v4, "::1": tt.v6} {
			conn, err := net.Dial("tcp", net.JoinHostPort(ip, port))
			if err == nil {
				conn.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s: reached by %s: %v", tt.address, ip, err)
			}
		}
		ln.Close()
	}
}
