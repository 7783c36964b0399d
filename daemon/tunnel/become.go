package tunnel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Next plans what the open tunnel would be with other options, for Become. Nothing is changed yet.
func (t *Tunnel) Next(ctx context.Context, o *config.Options, prof *config.Connection, server netip.Addr) (*Tunnel, error) {
	next := &Tunnel{cfg: t.cfg, ctx: ctx, device: t.device, journal: t.journal, upRan: t.upRan, dnsRan: t.dnsRan, routed: t.routed, world: t.world}
	next.cfg.Options, next.cfg.Profile, next.cfg.Server = o, prof, server
	if err := next.plan(); err != nil {
		return nil, err
	}
	return next, nil
}

// Change lists what one plan has and another has not.
type Change struct {
	Addresses bool
	Device    bool // addresses, or what else up scripts are told: MTU, resolvers
	Routes    bool // routes, or what route-up scripts are told
	Resolvers bool // what dns-updown is told
}

// Difference compares two plans for the same device.
func (t *Tunnel) Difference(next *Tunnel) Change {
	a, b := &t.net, &next.net
	c := Change{Addresses: !slices.Equal(a.addrs, b.addrs)}
	c.Device = c.Addresses || a.mtu != b.mtu || !slices.Equal(a.vars, b.vars)
	c.Resolvers = !slices.Equal(a.dns.vars(), b.dns.vars())
	c.Routes = c.Addresses || a.redirect != b.redirect || a.server != b.server || !slices.Equal(a.routes, b.routes) ||
		!slices.Equal(a.routes6, b.routes6) || !slices.Equal(a.routeVars, b.routeVars)
	return c
}

// Become makes the open tunnel what Next planned. The device stays, and of MTU and routes only the difference is changed,
// so that no packet is lost; with an address all routes go and come, as the kernel would have it anyway. For scripts
// and the management port what changes goes down and comes up again, with script_context restart.
//
// routesOK is that of RoutesUp. After an error the tunnel is good for Close only.
func (t *Tunnel) Become(ctx context.Context, next *Tunnel) (routesOK bool, err error) {
	c := t.Difference(next)
	if c == (Change{}) {
		t.adopt(next)
		return true, nil
	}
	t.tell(false)
	if c.Resolvers {
		t.dnsDown(ctx)
	}
	if c.Routes {
		t.runRouteDown(ctx, "restart")
	}
	if c.Device {
		if err := t.runDown(ctx, "restart"); err != nil {
			return false, err
		}
	}
	unsetVars(t.cfg.Env, t.net.vars)
	unsetVars(t.cfg.Env, t.net.routeVars)
	was := t.adopt(next)
	t.exportVars("restart")
	if c.Device {
		if err := t.reconfigure(&was); err != nil {
			return false, err
		}
	}
	if c.Resolvers {
		t.dnsUp(ctx)
	}
	if c.Device {
		if err := t.runUp(ctx, "restart"); err != nil {
			return false, err
		}
	}
	routesOK = true
	if c.Routes {
		routesOK = t.changeRoutes()
		t.runRouteUp(ctx)
	}
	t.tell(true)
	return routesOK, nil
}

// adopt takes over a plan and returns the one before.
func (t *Tunnel) adopt(next *Tunnel) network {
	was := t.net
	t.cfg, t.net, t.world, t.wantsRoutes6 = next.cfg, next.net, next.world, next.wantsRoutes6
	return was
}

// reconfigure changes addresses and MTU of the device from those of another plan.
func (t *Tunnel) reconfigure(was *network) error {
	if !slices.Equal(was.addrs, t.net.addrs) && !t.net.noExec {
		t.cfg.State(mgmt.State{Name: mgmt.StateAssignIP, TunIPv4: t.net.local4, TunIPv6: t.net.local6})
	}
	if t.net.noExec || t.net.device.Type == tun.Null {
		return nil
	}
	name := t.device.Name()
	if was.mtu != t.net.mtu {
		if err := t.journal.SetMTU(name, t.net.mtu); err != nil {
			return fmt.Errorf("set MTU of %s: %w", name, err)
		}
	}
	if slices.Equal(was.addrs, t.net.addrs) {
		return nil
	}
	// The kernel drops routes with the address they need, and some of them only: it is to find none.
	t.journal.UndoRoutes()
	for _, a := range without(was.addrs, t.net.addrs) {
		if err := t.journal.DelAddr(name, a); err != nil {
			return fmt.Errorf("delete address of %s: %w", name, err)
		}
	}
	return t.addAddrs(without(t.net.addrs, was.addrs))
}

// changeRoutes makes the routes those of the plan.
func (t *Tunnel) changeRoutes() bool {
	if t.net.noRoutes || t.net.device.Type == tun.Null {
		return true
	}
	if len(t.net.routes) > 0 {
		t.cfg.State(mgmt.State{Name: mgmt.StateAddRoutes})
	}
	t.doubtIPv6()
	return t.journal.Become(slices.Concat(t.redirectOps(), t.routeOps(t.net.routes), t.routeOps(t.net.routes6)))
}

// without is the addresses of a that are not in b.
func without(a, b []netconf.Addr) []netconf.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(x netconf.Addr) bool { return slices.Contains(b, x) })
}
