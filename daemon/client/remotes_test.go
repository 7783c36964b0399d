package client

import (
	"net/netip"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/message"
)

func TestRemotesGoRound(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r := remotes{count: 2}
	r.next()
	if r.current != 0 {
		t.Fatalf("first attempt uses profile %d", r.current)
	}
	r.resolved([]netip.Addr{a, b})

	r.restarted(true, false)
	r.next()
	if got, ok := r.address(); r.current != 0 || !ok || got != b {
		t.Fatalf("second attempt: profile %d, address %v %v; want the name's next address", r.current, got, ok)
	}
	r.restarted(true, false)
	r.next()
	if _, ok := r.address(); r.current != 1 || ok {
		t.Fatalf("third attempt: profile %d, resolved %v; want the next profile, not looked up", r.current, ok)
	}
	r.next()
	if r.current != 0 {
		t.Fatalf("fourth attempt: profile %d, want the first again", r.current)
	}
}

func TestRemotesStayOnceAfterAGoodConnection(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	r := remotes{count: 2}
	r.next()
	r.resolved([]netip.Addr{a})

	r.stay = true
	r.restarted(true, false)
	r.next()
	if got, ok := r.address(); r.current != 0 || !ok || got != a {
		t.Errorf("after a connection that was up: profile %d, address %v %v; want the same", r.current, got, ok)
	}
	r.next()
	if r.current != 1 {
		t.Errorf("then profile %d, want the next", r.current)
	}
}

func TestSignalLooksNamesUpAgain(t *testing.T) {
	r := remotes{count: 1}
	r.next()
	r.resolved([]netip.Addr{netip.MustParseAddr("192.0.2.1")})
	r.stay = true
	r.restarted(false, false)
	if _, ok := r.address(); ok {
		t.Error("a signal keeps the looked-up address without persist-remote-ip")
	}
	r.resolved([]netip.Addr{netip.MustParseAddr("192.0.2.1")})
	r.restarted(false, true)
	if _, ok := r.address(); !ok {
		t.Error("persist-remote-ip did not keep the address")
	}
}

func TestServerMayChooseWhereNext(t *testing.T) {
	r := remotes{count: 3, started: true}
	r.resolved([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")})
	r.wish, r.stay = message.AdvanceRemote, true
	r.next()
	if r.current != 1 {
		t.Errorf("advance remote: profile %d, want 1", r.current)
	}
	r.wish = message.AdvanceNo
	r.next()
	if r.current != 1 {
		t.Errorf("advance no: profile %d, want 1", r.current)
	}
}
