package web

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// crowd is a daemon with n clients.
func crowd(t testing.TB, n int) (*mgmttest.Daemon, func(ctx context.Context) (*client.Client, error)) {
	t.Helper()
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range []string{"mode server", "state CONNECTED SUCCESS 10.8.0.1"} {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	d.Ctl.SetPeers(peers(n)...)
	addr := d.ListenUnix(server.Access{})
	return d, func(ctx context.Context) (*client.Client, error) { return client.Dial(ctx, addr, client.Options{}) }
}

func peers(n int) []mgmttest.Peer {
	list := make([]mgmttest.Peer, 0, n)
	for i := range n {
		list = append(list, mgmttest.Peer{
			CID: uint64(i), KID: 1, CommonName: fmt.Sprintf("laptop-%05d", i), Virtual: fmt.Sprintf("10.8.%d.%d", i/250, 2+i%250),
			Real: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i / 250), byte(2 + i%250)}), 40000), Count: mgmt.ByteCount{In: uint64(i) * 1000, Out: 5},
		})
	}
	return list
}

// serve starts a page for a daemon and returns its address.
func serve(t testing.TB, cfg Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name = "office"
	if cfg.Passwords == nil {
		cfg.Passwords = []Password{{"moonlight", mgmt.RoleAdmin}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(cfg).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(15 * time.Second):
			t.Error("the page does not end")
		}
	})
	return "http://" + ln.Addr().String() + "/"
}
