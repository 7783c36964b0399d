package server

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// routing holds which client an address leads to. It asks learn-address before an address leads to a client, and tells it
// when none does. The data plane reads the tables.
type routing struct {
	routes   *forward.Table[*dataPath]
	stations *forward.Stations[*dataPath]

	reach []Reach
	far   far

	roster  *roster
	errands *errands
	say     *clientLog
}

func newRouting(all *roster, e *errands, say *clientLog) routing {
	return routing{
		routes: new(forward.Table[*dataPath]), stations: new(forward.Stations[*dataPath]), roster: all, errands: e, say: say,
		far: far{nodes: make(map[*relay.Node]*dataPath), ways: make(map[netip.Prefix]*dataPath)},
	}
}

// route is a prefix that the server routes to a client: the client's own address, or a subnet behind it.
type route struct {
	netip.Prefix
	own bool
}

// learned lists the addresses that lead to a client, and those that learn-address knows of.
type learned struct {
	prefixes  []netip.Prefix // routed to the client
	reported  []route        // to the script, for this client
	inherited []route        // to the script, for the session whose place this one took
}

// String formats an own address without a prefix length and a subnet with one, even a subnet of one address.
func (r route) String() string {
	if r.own {
		return r.Addr().String()
	}
	return r.Prefix.String()
}

// routesTo lists the routes to a client, its own addresses first. Frames are switched by hardware address, so
// a client of a tap server has none.
func (c *clientLog) routesTo(set *setup, i *instance) []route {
	if set.tap() {
		if len(i.config.Iroutes)+len(i.config.IroutesIPv6) > 0 {
			c.log(i, logging.Info, "MULTI: --iroute options rejected for %s -- iroute only works with tun-style tunnels", i.prefix())
		}
		return nil
	}
	all := i.ownRoutes()
	for _, list := range [][]netip.Prefix{i.config.Iroutes, i.config.IroutesIPv6} {
		for _, p := range slices.Backward(list) { // as stock
			if !i.owns(p) {
				all = append(all, route{p, false})
			}
		}
	}
	limit := set.MaxRoutesPerClient
	if i.config.MaxRoutesPerClient > 0 {
		limit = i.config.MaxRoutesPerClient
	}
	if limit > 0 && len(all) > limit {
		c.log(i, logging.Steps, "MULTI ROUTE: route quota (%d) exceeded for %s (see --max-routes-per-client option)", limit, i.prefix())
		all = all[:limit]
	}
	return all
}

// learn reports a client's routes to learn-address and goes on with those that it accepts. It updates an address that
// the script knows from another session, including an earlier session of the same client.
func (r *routing) learn(set *setup, i *instance, list []route, then func(h *hub, learned []route, now time.Time)) (waits bool) {
	if !set.wants(set.LearnAddress, plugin.LearnAddress) {
		return false
	}
	known := make([]bool, len(list))
	for n, l := range list {
		at := slices.Index(i.learned.inherited, l)
		known[n] = at >= 0 || r.client(l.Prefix) != nil
		if at >= 0 {
			i.learned.inherited = slices.Delete(i.learned.inherited, at, at+1)
		}
	}
	i.learned.reported = list
	who := r.say.subject(set, i)
	r.errands.inTurn(addressTurns(list), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		var learned []route
		for n, l := range list {
			op := "add"
			if known[n] {
				op = "update"
			}
			if a.learnAddress(ctx, who, op, l) {
				learned = append(learned, l)
			}
		}
		return func(h *hub) {
			if i.stage != session.Gone {
				i.learned.reported = learned
			}
			then(h, learned, time.Now())
		}
	})
	r.forget(set, i, i.learned.inherited) // routes of the session before that this one lacks
	i.learned.inherited = nil
	return true
}

// learnAddress asks learn-address about one address, to "add" or "update" it, and reports whether it agrees.
func (a *aside) learnAddress(ctx context.Context, who subject, op string, l fmt.Stringer) bool {
	call := hooks.Call{
		Tag: "--learn-address", Type: "learn-address", Command: who.set.LearnAddress, Args: []string{op, l.String(), who.cn}, Env: who.env,
		Event: plugin.LearnAddress, Client: who.client, Log: a.logTo(who.prefix),
	}
	if err := a.script(ctx, who.client, call); err != nil {
		a.logLine(who.prefix, logging.Warn, "%v", err)
		a.logLine(who.prefix, logging.Steps, "MULTI: Learn FAILED: %s -> %s", l, who.prefix)
		return false
	}
	return true
}

// addressTurns are the turns of addresses.
func addressTurns(list []route) []string {
	names := make([]string, len(list))
	for n, l := range list {
		names[n] = "address " + l.Prefix.String()
	}
	return names
}

// forget has learn-address delete addresses.
func (r *routing) forget(set *setup, i *instance, list []route) {
	if !set.wants(set.LearnAddress, plugin.LearnAddress) || len(list) == 0 {
		return
	}
	who := r.say.subject(set, i)
	r.errands.inTurn(addressTurns(list), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		for _, l := range list {
			a.deleteAddress(ctx, who, l.String())
		}
		return nil
	})
}

func (a *aside) deleteAddress(ctx context.Context, who subject, address string) {
	call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: who.set.LearnAddress, Args: []string{"delete", address}, Env: who.env, Event: plugin.LearnAddress, Log: a.logTo("")}
	if err := a.script(ctx, who.client, call); err != nil {
		a.logLine("", logging.Warn, "%v", err)
	}
}

// route adds routes to a client to the table and announces them to the log and the port.
func (r *routing) route(set *setup, i *instance, list []route, now time.Time) {
	for _, l := range list {
		i.learned.prefixes = append(i.learned.prefixes, l.Prefix)
		r.lead(l.Prefix, &i.dataPath, now)
		if !l.own {
			r.say.log(i, logging.Steps, "MULTI: internal route %s -> %s", l, i.prefix())
		}
		r.say.log(i, logging.Steps, "MULTI: Learn: %s -> %s", l, i.prefix())
		if i.portKnows() {
			r.say.port.ClientAddress(i.cid, l.Prefix, l.own)
		}
		if l.own && !set.tap() {
			family := ""
			if l.Addr().Is6() {
				family = "v6"
			}
			r.say.log(i, logging.Steps, "MULTI: primary virtual IP%s for %s: %s", family, i.prefix(), l)
		}
	}
}

// unroute takes a client's addresses out of the tables. An heir takes over what scripts know of them.
func (r *routing) unroute(set *setup, i *instance) {
	lost := i.learned.inherited
	for _, p := range i.learned.prefixes {
		r.unlead(p, &i.dataPath, time.Now())
	}
	for _, l := range i.learned.reported {
		if r.client(l.Prefix) == nil { // else another client has it now, and reported it
			lost = append(lost, l)
		}
	}
	i.learned.inherited, i.learned.reported = nil, nil
	stations := r.stations.Leave(&i.dataPath)
	if i.heir != nil {
		i.heir.learned.inherited = append(i.heir.learned.inherited, lost...)
	} else {
		r.forget(set, i, lost)
	}
	r.forgetStations(set, stations)
}

// owns reports whether an address is the client's own, not one of a subnet behind it.
func (i *instance) owns(p netip.Prefix) bool {
	return p.IsSingleIP() && (p.Addr() == i.virtual.v4 || p.Addr() == i.virtual.v6.Addr())
}
