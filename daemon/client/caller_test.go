package client

import (
	"net"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// A reset that anyone can send keeps no peer from a tls-server for long, whether there is a session or none yet.
func TestForgedCallers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, port string
		meanwhile  bool
		wrap       []string
	}{
		{name: "before the first peer", port: "31203"},
		{name: "before the first peer, under tls-auth", port: "31204", wrap: []string{"--tls-auth"}},
		{name: "before a peer starts over", port: "31205", meanwhile: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			key := b.write("static.key", staticKeyText)
			peer := func(name string, extra ...string) *running {
				if tt.wrap != nil {
					extra = append(extra, tt.wrap[0], key)
				}
				return b.peer(append(extra, "--proto", "udp4", "--ca", b.file("ca.crt"), "--cert", b.file(name+".crt"), "--key", b.file(name+".key"))...)
			}
			server := peer("server", "--tls-server", "--dh", "none", "--local", b.addr, "--lport", tt.port)
			b.lines(server, "link remote: [AF_UNSPEC]", 1)
			want := 1
			if tt.meanwhile {
				first := peer("client", "--tls-client", "--remote", b.addr, tt.port, "--nobind")
				b.lines(first, "Initialization Sequence Completed", 1)
				b.end(first, engine.TERM)
				want++
			}
			forger, err := net.Dial("udp4", net.JoinHostPort(b.addr, tt.port))
			if err != nil {
				t.Fatal(err)
			}
			defer forger.Close()
			reset := append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0), 6, 6, 6, 6, 6, 6, 6, 6}, 0, 0, 0, 0, 0)
			if _, err := forger.Write(reset); err != nil {
				t.Fatal(err)
			}
			if tt.wrap == nil && !tt.meanwhile {
				b.lines(server, "TLS: Initial packet from", want)
			}
			genuine := peer("client", "--tls-client", "--remote", b.addr, tt.port, "--nobind")
			b.lines(genuine, "Initialization Sequence Completed", 1)
			b.lines(server, "Peer Connection Initiated", want)
		})
	}
}

// A tls-server that knows where its client is tells it when it is started again: nobody waits for ping-restart. The reset may come late, and
// forged ones change nothing.
func TestServerOfOneClientIsStartedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ wrap, server, client string }{
		{"", "31206", "31207"},
		{"--tls-auth", "31208", "31209"},
		{"--tls-crypt", "31210", "31211"},
	} {
		t.Run("wrap "+tt.wrap, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, "udp4")
			key := b.write("static.key", staticKeyText) // once: a peer that starts must not find it empty
			peer := func(name, own, other string, extra ...string) *running {
				if tt.wrap != "" {
					extra = append(extra, tt.wrap, key)
				}
				return b.peer(append(extra, "--proto", "udp4", "--local", b.addr, "--lport", own, "--remote", b.addr, other, "--ca", b.file("ca.crt"),
					"--cert", b.file(name+".crt"), "--key", b.file(name+".key"))...)
			}
			serve := func() *running { return peer("server", tt.server, tt.client, "--tls-server", "--dh", "none") }
			server := serve()
			client := peer("client", tt.client, tt.server, "--tls-client")
			b.lines(client, "Initialization Sequence Completed", 1)
			for again := 2; again <= 3; again++ {
				b.end(server, engine.TERM)
				forger, err := net.DialUDP("udp4", udpAddr(t, b.addr, tt.server), udpAddr(t, b.addr, tt.client))
				if err != nil {
					t.Fatal(err)
				}
				reset := append([]byte{wire.Header(wire.OpControlHardResetServerV2, 0), 6, 6, 6, 6, 6, 6, 6, byte(again)}, 0, 0, 0, 0, 0)
				_, err = forger.Write(reset)
				forger.Close()
				if err != nil {
					t.Fatal(err)
				}
				server = serve()
				b.lines(server, "Initialization Sequence Completed", 1)
				b.lines(client, "Peer Connection Initiated", again)
			}
		})
	}
}

func udpAddr(t *testing.T, addr, port string) *net.UDPAddr {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp4", net.JoinHostPort(addr, port))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
