package server

import (
	"net/netip"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// A client that writes another one's address on its packets neither gets its place nor puts it out, whatever they have in
// common: no certificates at all, or one for everybody.
func TestFloatToAddressInUse(t *testing.T) {
	from := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1000")}
	to := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.2:1000")}
	for name, there := range map[string]struct {
		stage    session.Stage
		cn, user string
	}{
		"another name":     {session.Established, "b", "b"},
		"another login":    {session.Established, "a", "b"},
		"in its handshake": {session.Handshake, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := &base{deps: Deps{Log: logging.Discard()}, total: new(engine.Totals)}
			h := newBareHub(b, new(config.Options))
			h.table = newTable(2)
			i, other := &instance{}, &instance{}
			i.stage, i.commonName, i.username, i.link = session.Established, "a", "a", &near{}
			other.stage, other.commonName, other.username, other.link = there.stage, there.cn, there.user, &near{}
			i.session, other.session = new(session.Session), new(session.Session)
			i.peer.Store(&from)
			other.peer.Store(&to)
			if !h.table.add(i) || !h.table.add(other) {
				t.Fatal("no room")
			}
			h.float(i, to)
			if h.at(to) != other || h.at(from) != i || *i.peer.Load() != from || other.stage == session.Gone {
				t.Error("the address changed hands")
			}
			free := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.3:1000")}
			if h.float(i, free); h.at(free) != i {
				t.Error("a free address is refused")
			}
		})
	}
}
