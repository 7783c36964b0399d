package tunnel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// withoutIPv6 makes the open tunnel one for IPv4 only, after the host refused its IPv6 address.
func (t *Tunnel) withoutIPv6() error {
	t.noIPv6 = true
	was, unasked := t.net, t.ipv6Unasked()
	if err := t.dropIPv6(); err != nil {
		return err
	}
	unsetVars(t.cfg.Env, was.vars)
	unsetVars(t.cfg.Env, was.routeVars)
	setVars(t.cfg.Env, t.net.vars)
	setVars(t.cfg.Env, t.net.routeVars)
	t.cfg.Log(logging.Warn, "WARNING: %s: the tunnel goes on with IPv4 alone. To have IPv6, enable it; to be rid of this warning, %s", t.ipv6Off(), unasked)
	return nil
}

// dropIPv6 takes addresses, routes and variables of IPv6 out of the plan. It is an error where traffic that was to go into the
// tunnel would leave beside it, or nothing is left of the tunnel.
func (t *Tunnel) dropIPv6() error {
	n := &t.net
	switch {
	case (len(n.routes6) > 0 || len(n.redirect.IPv6Routes()) > 0) && t.gw6.Dev != "":
		return fmt.Errorf("%s, and what its IPv6 routes are for would go beside the tunnel, through %s: enable IPv6, or %s", t.ipv6Off(), t.gw6.Dev, t.ipv6Unasked())
	case !n.local4.IsValid():
		return fmt.Errorf("%s, and the tunnel has no IPv4 address: enable IPv6", t.ipv6Off())
	}
	n.addrs = slices.DeleteFunc(slices.Clone(n.addrs), func(a netconf.Addr) bool { return a.Prefix.Addr().Is6() })
	n.local6, n.routes6, n.redirect.IPv6 = netip.Addr{}, nil, false
	n.vars = without6(n.vars)
	n.routeVars = without6(n.routeVars)
	return nil
}

// without6 is a list of variables without those of IPv6 in the tunnel.
func without6(vars []string) []string {
	return slices.DeleteFunc(slices.Clone(vars), func(v string) bool {
		return strings.HasPrefix(v, "ifconfig_ipv6_") || strings.HasPrefix(v, "route_ipv6_")
	})
}

func (t *Tunnel) ipv6Off() string {
	name := t.device.Name()
	return fmt.Sprintf("IPv6 is disabled on this host (sysctl net.ipv6.conf.%s.disable_ipv6) and %s can have no IPv6 address", name, name)
}

// ipv6Unasked says what leaves IPv6 out of the configuration.
func (t *Tunnel) ipv6Unasked() string {
	switch {
	case !t.cfg.Options.Pull:
		return "remove server-ipv6, ifconfig-ipv6 and route-ipv6"
	case t.net.redirect.IPv6:
		return `have the server push redirect-gateway without ipv6, and add pull-filter ignore "ifconfig-ipv6" and pull-filter ignore "route-ipv6"`
	default:
		return `add pull-filter ignore "ifconfig-ipv6" and pull-filter ignore "route-ipv6"`
	}
}
