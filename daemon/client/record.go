package client

import (
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// record adds to an event who we are and where the server is.
func (a *attempt) record(e journal.Event) {
	if a.journal == nil {
		return
	}
	if at := a.peer.Addr; at.IsValid() {
		e.Address, e.Port = at.Addr().Unmap().String(), at.Port()
	}
	e.CN = a.their.name
	if a.opts.AuthUserPass.Enabled {
		e.User, _, _ = a.c.secrets.login(true)
	}
	a.journal.Record(e)
}

// recordUp is a tunnel that is up.
func (a *attempt) recordUp(s mgmt.State) {
	e := journal.Event{Kind: journal.KindConnect}
	for _, own := range []netip.Addr{s.TunIPv4, s.TunIPv6} {
		if own.IsValid() {
			e.Tunnel = append(e.Tunnel, own.String())
		}
	}
	a.record(e)
}

// recordGone is the end of a tunnel that was up.
func (a *attempt) recordGone(stop engine.Stop) {
	if a.stage != session.Established {
		return
	}
	a.record(journal.Event{
		Kind: journal.KindDisconnect, Reason: stop.StateReason(), In: a.traffic.LinkIn.Load(), Out: a.traffic.LinkOut.Load(),
		Seconds: time.Since(a.since).Round(time.Millisecond).Seconds(),
	})
}
