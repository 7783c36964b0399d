package server

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// prefixesOf is everything to route to a client: its own addresses first. Frames find their way by hardware address, so
// that a client of a tap server has none.
func (h *hub) prefixesOf(i *instance) []netip.Prefix {
	if h.set.tap() {
		if len(i.config.Iroutes)+len(i.config.IroutesIPv6) > 0 {
			h.log(i, 1, "", "MULTI: --iroute options rejected for %s -- iroute only works with tun-style tunnels", i.prefix())
		}
		return nil
	}
	var all []netip.Prefix
	if i.virtual4.IsValid() {
		all = append(all, netip.PrefixFrom(i.virtual4, 32))
	}
	if i.virtual6.IsValid() {
		all = append(all, netip.PrefixFrom(i.virtual6.Addr(), 128))
	}
	all = append(all, i.config.Iroutes...)
	all = append(all, i.config.IroutesIPv6...)
	limit := h.set.MaxRoutesPerClient
	if i.config.MaxRoutesPerClient > 0 {
		limit = i.config.MaxRoutesPerClient
	}
	if limit > 0 && len(all) > limit {
		h.log(i, 1, "", "MULTI ROUTE: route quota (%d) exceeded for %s (see --max-routes-per-client option)", limit, i.prefix())
		all = all[:limit]
	}
	return all
}

// learn tells learn-address about the addresses of a client and goes on with those it accepts. An address that scripts
// know from another session, be it the client's own before, is updated.
func (h *hub) learn(i *instance, prefixes []netip.Prefix, now time.Time) {
	if h.set.LearnAddress == "" {
		h.establish(i, prefixes, now)
		return
	}
	known := make([]bool, len(prefixes))
	for n, p := range prefixes {
		at := slices.Index(i.inherited, p)
		known[n] = at >= 0 || h.routes.Owner(p) != nil
		if at >= 0 {
			i.inherited = slices.Delete(i.inherited, at, at+1)
		}
	}
	i.told = prefixes
	prefix, cn := i.prefix(), undef(i.commonName)
	set, env := h.set, h.env(i)
	h.inTurn(addressTurns(prefixes), hookDeadline, func(ctx context.Context) func() {
		var learned []netip.Prefix
		for n, p := range prefixes {
			op := "add"
			if known[n] {
				op = "update"
			}
			call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: set.LearnAddress, Args: []string{op, addressText(p), cn}, Env: env}
			if err := h.script(ctx, call); err != nil {
				h.logLine(prefix, 1, "W", "%v", err)
				h.logLine(prefix, 1, "", "MULTI: Learn FAILED: %s -> %s", addressText(p), prefix)
				continue
			}
			learned = append(learned, p)
		}
		return func() {
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
func addressTurns(prefixes []netip.Prefix) []string {
	names := make([]string, len(prefixes))
	for n, p := range prefixes {
		names[n] = "address " + p.String()
	}
	return names
}

// forget has learn-address delete addresses.
func (h *hub) forget(i *instance, prefixes []netip.Prefix) {
	if h.set.LearnAddress == "" || len(prefixes) == 0 {
		return
	}
	set, env := h.set, h.env(i)
	h.inTurn(addressTurns(prefixes), hookDeadline, func(ctx context.Context) func() {
		for _, p := range prefixes {
			h.deleteAddress(ctx, set, env, addressText(p))
		}
		return nil
	})
}

func (h *hub) deleteAddress(ctx context.Context, set *setup, env *hooks.Env, address string) {
	call := hooks.Call{Tag: "--learn-address", Type: "learn-address", Command: set.LearnAddress, Args: []string{"delete", address}, Env: env}
	if err := h.script(ctx, call); err != nil {
		h.logLine("", 1, "W", "%v", err)
	}
}

// route makes prefixes lead to a client and tells everybody.
func (h *hub) route(i *instance, prefixes []netip.Prefix, now time.Time) {
	own := slices.Clone(prefixes)
	i.prefixes = own
	i.owned.set.Store(&own)
	for _, p := range prefixes {
		mine := p.Addr() == i.virtual4 || p.Addr() == i.virtual6.Addr() && p.IsSingleIP()
		if old, replaced := h.routes.Add(p, i, now.Unix()); replaced && old != i {
			old.disown(p)
		}
		if !mine {
			h.log(i, 3, "", "MULTI: internal route %s -> %s", addressText(p), i.prefix())
		}
		h.log(i, 3, "", "MULTI: Learn: %s -> %s", addressText(p), i.prefix())
		if mine && !h.set.tap() {
			family := ""
			if p.Addr().Is6() {
				family = "v6"
			}
			h.log(i, 3, "", "MULTI: primary virtual IP%s for %s: %s", family, i.prefix(), p.Addr())
		}
		if i.announced {
			h.port.ClientAddress(i.cid, p, mine)
		}
	}
}

// disown takes an address away that moved to another client.
func (i *instance) disown(p netip.Prefix) {
	left := slices.DeleteFunc(slices.Clone(*i.owned.set.Load()), func(q netip.Prefix) bool { return q == p })
	i.owned.set.Store(&left)
}

// unroute takes a client's addresses out of the tables. An heir takes over what scripts know of them.
func (h *hub) unroute(i *instance) {
	lost := i.inherited
	for _, p := range i.prefixes {
		h.routes.Remove(p, i)
	}
	for _, p := range i.told {
		if owner := h.routes.Owner(p); owner == nil { // else it moved to another client, which told so
			lost = append(lost, p)
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

// addressText prints an address or subnet as scripts and logs see it.
func addressText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
