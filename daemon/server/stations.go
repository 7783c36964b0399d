package server

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// learnedStation reports a MAC address that was seen behind a client for the first time. known says that it was behind
// another client before.
func (r *routing) learnedStation(set *setup, i *instance, at forward.EtherAddr, known bool) {
	if i.stage != session.Established {
		return
	}
	r.say.log(i, logging.Steps, "MULTI: Learn: %s -> %s", at, i.prefix())
	if !set.wants(set.LearnAddress, plugin.LearnAddress) {
		return
	}
	op := "add"
	if known {
		op = "update"
	}
	who, d := r.say.subject(set, i), &i.dataPath
	r.errands.inTurn(stationTurns(at), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		if a.learnAddress(ctx, who, op, at) {
			return nil
		}
		return func(h *hub) {
			h.stations.Forget(func(s *station) bool { return s.Addr == at && s.Client == d })
		}
	})
}

// forgetStations has learn-address delete stations that are in the table no more.
func (r *routing) forgetStations(set *setup, gone []*station) {
	if !set.wants(set.LearnAddress, plugin.LearnAddress) {
		return
	}
	for _, s := range gone {
		who := r.say.subject(set, r.roster.of(s.Client))
		r.errands.inTurn(stationTurns(s.Addr), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
			a.deleteAddress(ctx, who, s.Addr.String())
			return nil
		})
	}
}

// stale forgets stations that have been silent for longer than age.
//
// Rule: docs/protocol.md#87-learned-addresses: addresses that clients were given stay.
func (r *routing) stale(set *setup, age time.Duration, now time.Time) {
	gone := r.stations.Forget(func(s *station) bool { return second(now)-s.LastRef() >= int64(age/time.Second) })
	for _, s := range gone {
		r.say.logLine("", logging.At(7), "MULTI: Deleting stale route for address '%s'", s.Addr)
	}
	r.forgetStations(set, gone)
}

// stationTurns are the turns of a station.
func stationTurns(a forward.EtherAddr) []string { return []string{"address " + a.String()} }

// stationTurnsOf are the turns of all stations behind a client, for a script that they wait for.
func (r *routing) stationTurnsOf(set *setup, i *instance) []string {
	if !set.tap() || !set.wants(set.LearnAddress, plugin.LearnAddress) {
		return nil
	}
	var names []string
	for _, s := range r.stations.All() {
		if s.Client == &i.dataPath {
			names = append(names, stationTurns(s.Addr)...)
		}
	}
	return names
}
