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

// learnedStation tells of a MAC address that was seen behind a client for the first time. known says that it was behind
// another client before.
func (h *hub) learnedStation(i *instance, at forward.EtherAddr, known bool) {
	if i.stage != session.Established {
		return
	}
	h.log(i, logging.Steps, "MULTI: Learn: %s -> %s", at, i.prefix())
	if !h.set.wants(h.set.LearnAddress, plugin.LearnAddress) {
		return
	}
	op := "add"
	if known {
		op = "update"
	}
	set, env, cn, prefix, client := h.set, h.env(i), undef(i.commonName), i.prefix(), i.context()
	h.inTurn(stationTurns(at), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: set.LearnAddress, Args: []string{op, at.String(), cn}, Env: env, Event: plugin.LearnAddress, Client: client, Log: a.logTo(prefix)}
		err := a.script(ctx, client, call)
		if err == nil {
			return nil
		}
		a.logLine(prefix, logging.Warn, "%v", err)
		a.logLine(prefix, logging.Steps, "MULTI: Learn FAILED: %s -> %s", at, prefix)
		return func(h *hub) {
			h.stations.Forget(func(s *station) bool { return s.Addr == at && s.Client == &i.dataPath })
		}
	})
}

// forgetStations has learn-address delete stations that are in the table no more.
func (h *hub) forgetStations(gone []*station) {
	if !h.set.wants(h.set.LearnAddress, plugin.LearnAddress) {
		return
	}
	for _, s := range gone {
		set, env, client := h.set, h.env(h.of(s.Client)), h.of(s.Client).context()
		h.inTurn(stationTurns(s.Addr), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
			a.deleteAddress(ctx, set, client, env, s.Addr.String())
			return nil
		})
	}
}

// stale forgets stations that have been silent for longer than age.
//
// Rule: docs/protocol.md#87-learned-addresses: addresses that clients were given stay.
func (h *hub) stale(age time.Duration, now time.Time) {
	gone := h.stations.Forget(func(s *station) bool { return second(now)-s.LastRef() >= int64(age/time.Second) })
	for _, s := range gone {
		h.logLine("", logging.At(7), "MULTI: Deleting stale route for address '%s'", s.Addr)
	}
	h.forgetStations(gone)
}

// stationTurns are the turns of a station.
func stationTurns(a forward.EtherAddr) []string { return []string{"address " + a.String()} }

// stationTurnsOf are the turns of all stations behind a client, for a script that they wait for.
func (h *hub) stationTurnsOf(i *instance) []string {
	if !h.set.tap() || !h.set.wants(h.set.LearnAddress, plugin.LearnAddress) {
		return nil
	}
	var names []string
	for _, s := range h.stations.All() {
		if s.Client == &i.dataPath {
			names = append(names, stationTurns(s.Addr)...)
		}
	}
	return names
}
