package netconf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Redirect holds the flags of redirect-gateway (or of redirect-private, with Private). Several lines OR together.
type Redirect struct {
	Enabled    bool // any redirect-gateway or redirect-private line was there
	Private    bool // no default route, only the helper routes
	Local      bool
	AutoLocal  bool
	Def1       bool
	BypassDHCP bool // no effect here
	BypassDNS  bool // no effect here
	BlockLocal bool
	IPv6       bool
	NoIPv4     bool
}

// RedirectInput describes the host and the options to PlanRedirect.
type RedirectInput struct {
	Flags  Redirect
	Server netip.Addr // outer address of the server, invalid when unknown
	// Gateway4 and Gateway6 are the default gateways before the tunnel; a zero one means there is none. Gateway6 is the
	// way towards Server if that is IPv6.
	Gateway4, Gateway6 Gateway
	// VPN4 is the gateway inside the tunnel (route-gateway or the peer's address); invalid when there is none.
	VPN4 netip.Addr
	// VPN6 is the peer's IPv6 address, for the log only; may be invalid.
	VPN6 netip.Addr
	// Dev is the tunnel device.
	Dev string
	// ServerOnLink tells that Server is in a network of this host without a router between (for AutoLocal).
	ServerOnLink bool
	// Routes6 are the other IPv6 routes into the tunnel: a server they cover needs a host route as well.
	Routes6 []netip.Prefix
	// Metric6 is the metric of the redirect's IPv6 routes, 0 or NoMetric for the kernel's choice.
	Metric6 int
}

// Op is one step of a plan: a line for the log, or a route.
type Op struct {
	Note   string        // log this, do nothing
	Level  logging.Level // of Note
	Delete bool          // delete the route, and add it again when the plan is undone
	List   bool          // undone with the ordinary routes, which go first
	Route  Route
}

// PlanRedirect turns redirect-gateway flags into route operations, in order.
//
//	def1        server via the old gateway, 0.0.0.0/1 and 128.0.0.0/1 via the tunnel
//	(none)      server via the old gateway, the old default deleted, a new one via the tunnel
//	local       no host route to the server; autolocal: when ServerOnLink
//	block-local the old gateway stays reachable, the rest of its network goes through the tunnel in two halves;
//	            nothing when the server itself is in that network
//	ipv6        ::/3, 2000::/4, 3000::/4 and fc00::/7 into the device
//	!ipv4       nothing of the IPv4 part
//
// A server with an IPv6 address gets its host route when any IPv6 route into the tunnel covers it, also without the
// flags; call it for pushed IPv6 routes too. Without an IPv4 gateway the steps that need one are left out, with a note.
//
// Rule: docs/protocol.md#89-redirect-gateway. It differs in one thing: stock tries routes via 0.0.0.0
// when there is no gateway, and logs their failure.
func PlanRedirect(in RedirectInput) []Op {
	var ops []Op
	if in.Flags.Enabled && !in.Flags.NoIPv4 {
		ops = planV4(ops, in)
	}
	return planV6(ops, in)
}

func note(lv logging.Level, format string, args ...any) Op {
	return Op{Note: fmt.Sprintf(format, args...), Level: lv}
}

func planV4(ops []Op, in RedirectInput) []Op {
	if !in.VPN4.IsValid() {
		return append(ops, note(logging.Info, "NOTE: unable to redirect IPv4 default gateway -- VPN gateway parameter (--route-gateway or --ifconfig) is missing"))
	}
	gw := in.Gateway4
	known := gw.Dev != ""
	via := func(dst netip.Prefix, gw netip.Addr) Route { return Route{Dst: dst, Via: gw, Metric: NoMetric} }

	switch {
	case in.Server.Is6():
		ops = append(ops, note(logging.Steps, "ROUTE remote_host protocol differs from tunneled"))
	case in.Flags.Local, in.Flags.AutoLocal && in.ServerOnLink, !in.Server.IsValid():
	case !known:
		ops = append(ops, note(logging.Info, "NOTE: no default gateway: the route to the server is left as it is"))
	default:
		ops = append(ops, Op{Route: hostRoute(in.Server, gw)})
	}

	blocked := in.Flags.Blocked(gw, in.Server)
	if len(blocked) > 0 {
		ops = append(ops, note(logging.Steps, "ROUTE: bypass_host_route[0]=%s", gw.Addr), Op{Route: hostRoute(gw.Addr, gw)})
	}
	switch {
	case in.Flags.Private:
	case in.Flags.Def1:
		ops = append(ops,
			Op{Route: via(netip.MustParsePrefix("0.0.0.0/1"), in.VPN4)},
			Op{Route: via(netip.MustParsePrefix("128.0.0.0/1"), in.VPN4)})
	default:
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if known {
			old := Route{Dst: all, Via: gw.Addr, Metric: gw.Metric}
			if gw.OnLink {
				old.Dev = gw.Dev
			}
			ops = append(ops, Op{Delete: true, Route: old})
		}
		ops = append(ops, Op{Route: via(all, in.VPN4)})
	}
	for _, half := range blocked {
		ops = append(ops, Op{List: true, Route: via(half, in.VPN4)})
	}
	return ops
}

// Blocked are the two halves of the gateway's network, the upper one first, which block-local leads into the tunnel; none without that flag, or
// when the server is in that network.
func (r Redirect) Blocked(gw Gateway, server netip.Addr) []netip.Prefix {
	if !r.Enabled || r.NoIPv4 || !r.BlockLocal || gw.Dev == "" || gw.OnLink || !gw.Prefix.IsValid() || gw.Prefix.Bits() >= 32 || gw.Prefix.Contains(server) {
		return nil
	}
	lower, upper := halves(gw.Prefix.Masked())
	return []netip.Prefix{upper, lower}
}

// hostRoute keeps one address reachable outside the tunnel. An address of the gateway's own network, the gateway itself
// above all, is named with the device, as stock does.
func hostRoute(to netip.Addr, gw Gateway) Route {
	r := Route{Dst: netip.PrefixFrom(to, to.BitLen()), Via: gw.Addr, Metric: NoMetric}
	if gw.OnLink || gw.Prefix.Contains(to) {
		r.Dev = gw.Dev
	}
	return r
}

// halves cuts an IPv4 network in two.
func halves(p netip.Prefix) (lower, upper netip.Prefix) {
	bits := p.Bits() + 1
	b := p.Addr().As4()
	b[(bits-1)/8] |= 0x80 >> ((bits - 1) % 8)
	return netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(netip.AddrFrom4(b), bits)
}

// world6 covers every global and unique local IPv6 address.
var world6 = []netip.Prefix{
	netip.MustParsePrefix("::/3"), netip.MustParsePrefix("2000::/4"),
	netip.MustParsePrefix("3000::/4"), netip.MustParsePrefix("fc00::/7"),
}

// IPv6Routes are the networks that a redirect, a private one too, leads into the tunnel beside the routes of the options: none
// without its flag ipv6.
func (r Redirect) IPv6Routes() []netip.Prefix {
	if !r.Enabled || !r.IPv6 {
		return nil
	}
	return world6
}

// ServerRoute6 is the route around the tunnel to a server with an IPv6 address, and the first network that leads into the tunnel and covers
// it, of the redirect or of routes. The network is not valid when none does.
func (r Redirect) ServerRoute6(server netip.Addr, gw Gateway, routes []netip.Prefix) (covering netip.Prefix, around Route) {
	if !server.Is6() || gw.Dev == "" {
		return covering, around
	}
	networks := slices.Concat(r.IPv6Routes(), routes)
	i := slices.IndexFunc(networks, func(p netip.Prefix) bool { return p.Contains(server) })
	if i < 0 {
		return covering, around
	}
	around = hostRoute(server, gw)
	around.Dev, around.Metric = gw.Dev, 1
	return networks[i], around
}

func planV6(ops []Op, in RedirectInput) []Op {
	if p, r := in.Flags.ServerRoute6(in.Server, in.Gateway6, in.Routes6); p.IsValid() {
		ops = append(ops, note(logging.Steps, "ROUTE6: %s overlaps IPv6 remote %s, adding host route to VPN endpoint", p.Masked(), in.Server), Op{Route: r})
	}
	for _, p := range in.Flags.IPv6Routes() {
		ops = append(ops, Op{Route: Route{Dst: p, Dev: in.Dev, Metric: cmp.Or(in.Metric6, NoMetric), Shown: in.VPN6}})
	}
	return ops
}
