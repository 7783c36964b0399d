package server

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// lead is what leads to a client: its own address, or a subnet behind it.
type lead struct {
	netip.Prefix
	own bool
}

// String is an own address without a length, a subnet with one, be it of one address.
func (l lead) String() string {
	if l.own {
		return l.Addr().String()
	}
	return l.Prefix.String()
}

// leadsTo is everything to route to a client: its own addresses first. Frames find their way by hardware address, so
// that a client of a tap server has none.
func (c *clientLog) leadsTo(set *setup, i *instance) []lead {
	if set.tap() {
		if len(i.config.Iroutes)+len(i.config.IroutesIPv6) > 0 {
			c.log(i, logging.Info, "MULTI: --iroute options rejected for %s -- iroute only works with tun-style tunnels", i.prefix())
		}
		return nil
	}
	var all []lead
	if i.virtual4.IsValid() {
		all = append(all, lead{netip.PrefixFrom(i.virtual4, 32), true})
	}
	if i.virtual6.IsValid() {
		all = append(all, lead{netip.PrefixFrom(i.virtual6.Addr(), 128), true})
	}
	for _, list := range [][]netip.Prefix{i.config.Iroutes, i.config.IroutesIPv6} {
		for _, p := range slices.Backward(list) { // as stock
			if !i.owns(p) {
				all = append(all, lead{p, false})
			}
		}
	}
	limit := set.MaxRoutesPerClient
	if i.config.MaxRoutesPerClient > 0 {
		limit = i.config.MaxRoutesPerClient
	}
	if limit > 0 && len(all) > limit {
		c.log(i, logging.Info, "MULTI ROUTE: route quota (%d) exceeded for %s (see --max-routes-per-client option)", limit, i.prefix())
		all = all[:limit]
	}
	return all
}

// learn tells learn-address about the addresses of a client and goes on with those it accepts. An address that scripts
// know from another session, be it the client's own before, is updated.
func (h *hub) learn(i *instance, leads []lead, now time.Time) {
	if !h.set.wants(h.set.LearnAddress, plugin.LearnAddress) {
		h.establish(i, leads, now)
		return
	}
	known := make([]bool, len(leads))
	for n, l := range leads {
		at := slices.Index(i.inherited, l)
		known[n] = at >= 0 || h.routes.Owner(l.Prefix) != nil
		if at >= 0 {
			i.inherited = slices.Delete(i.inherited, at, at+1)
		}
	}
	i.told = leads
	prefix, cn := i.prefix(), undef(i.commonName)
	set, env, client := h.set, h.env(i), i.context()
	h.inTurn(addressTurns(leads), hookDeadline, func(ctx context.Context, a *aside) func(*hub) {
		var learned []lead
		for n, l := range leads {
			op := "add"
			if known[n] {
				op = "update"
			}
			call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: set.LearnAddress, Args: []string{op, l.String(), cn}, Env: env, Event: plugin.LearnAddress, Client: client, Log: a.logTo(prefix)}
			if err := a.script(ctx, call); err != nil {
				a.logLine(prefix, logging.Warn, "%v", err)
				a.logLine(prefix, logging.Info, "MULTI: Learn FAILED: %s -> %s", l, prefix)
				continue
			}
			learned = append(learned, l)
		}
		return func(h *hub) {
			if i.phase != gone {
				i.told = learned
			}
			h.establish(i, learned, time.Now())
		}
	})
	h.forget(i, i.inherited) // what the session before had and this one has not
	i.inherited = nil
}

// addressTurns are the turns of addresses.
func addressTurns(leads []lead) []string {
	names := make([]string, len(leads))
	for n, l := range leads {
		names[n] = "address " + l.Prefix.String()
	}
	return names
}

// forget has learn-address delete addresses.
func (h *hub) forget(i *instance, leads []lead) {
	if !h.set.wants(h.set.LearnAddress, plugin.LearnAddress) || len(leads) == 0 {
		return
	}
	set, env := h.set, h.env(i)
	h.inTurn(addressTurns(leads), hookDeadline, func(ctx context.Context, a *aside) func(*hub) {
		for _, l := range leads {
			a.deleteAddress(ctx, set, env, l.String())
		}
		return nil
	})
}

func (a *aside) deleteAddress(ctx context.Context, set *setup, env *hooks.Env, address string) {
	call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: set.LearnAddress, Args: []string{"delete", address}, Env: env, Event: plugin.LearnAddress, Log: a.logTo("")}
	if err := a.script(ctx, call); err != nil {
		a.logLine("", logging.Warn, "%v", err)
	}
}

// route makes addresses and subnets lead to a client and tells everybody.
func (h *hub) route(i *instance, leads []lead, now time.Time) {
	own := make([]netip.Prefix, len(leads))
	for n, l := range leads {
		own[n] = l.Prefix
	}
	i.prefixes = own
	for _, l := range leads {
		h.routes.Add(l.Prefix, i, second(now))
		if !l.own {
			h.log(i, logging.Steps, "MULTI: internal route %s -> %s", l, i.prefix())
		}
		h.log(i, logging.Steps, "MULTI: Learn: %s -> %s", l, i.prefix())
		if i.announced {
			h.port.ClientAddress(i.cid, l.Prefix, l.own)
		}
		if l.own && !h.set.tap() {
			family := ""
			if l.Addr().Is6() {
				family = "v6"
			}
			h.log(i, logging.Steps, "MULTI: primary virtual IP%s for %s: %s", family, i.prefix(), l)
		}
	}
}

// unroute takes a client's addresses out of the tables. An heir takes over what scripts know of them.
func (h *hub) unroute(i *instance) {
	lost := i.inherited
	for _, p := range i.prefixes {
		h.routes.Remove(p, i)
	}
	for _, l := range i.told {
		if owner := h.routes.Owner(l.Prefix); owner == nil { // else it moved to another client, which told so
			lost = append(lost, l)
		}
	}
	i.inherited, i.told = nil, nil
	stations := h.stations.Forget(func(s *station) bool { return s.Client == i })
	if i.heir != nil {
		i.heir.inherited = append(i.heir.inherited, lost...)
	} else {
		h.forget(i, lost)
	}
	h.forgetStations(stations)
}

// owns reports whether an address is the client's own, not one of a subnet behind it.
func (i *instance) owns(p netip.Prefix) bool {
	return p.IsSingleIP() && (p.Addr() == i.virtual4 || p.Addr() == i.virtual6.Addr())
}
