package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// Plan works out what the options ask of the device and the routes, and looks up the ways out of this host. Nothing is
// changed yet.
func Plan(ctx context.Context, cfg Config) (*Tunnel, error) {
	t := &Tunnel{cfg: cfg, ctx: ctx}
	t.journal = netconf.NewJournal(cfg.Net, cfg.Notes, cfg.Log)
	if err := t.plan(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tunnel) plan() error {
	cfg, o := t.cfg, t.cfg.Options
	t.net = network{
		device: tun.Config{
			Name: o.Dev, Type: devType(o.DevType), DisableOffload: o.DisableOffload, TxQueueLen: o.TxQueueLen, Node: o.DevNode,
		},
		mtu: cfg.Profile.TunMTU, noExec: o.IfconfigNoexec, noRoutes: o.RouteNoexec, server: cfg.Server,
		up: o.Up, down: o.Down, routeUp: o.RouteUp, routeDown: o.RoutePreDown, downPre: o.DownPre,
		upDown: o.ManagementUpDown,
		redirect: netconf.Redirect{
			Enabled: o.Redirect.Enabled, Private: o.Redirect.Enabled && !o.Redirect.Gateway, Local: o.Redirect.Local,
			AutoLocal: o.Redirect.AutoLocal, Def1: o.Redirect.Def1, BypassDHCP: o.Redirect.BypassDHCP,
			BypassDNS: o.Redirect.BypassDNS, BlockLocal: o.Redirect.BlockLocal, IPv6: o.Redirect.IPv6, NoIPv4: o.Redirect.NoIPv4,
		},
	}
	if o.RouteDelayDefined {
		t.net.delay = o.RouteDelay
	}
	if o.LLAddr != "" {
		mac, err := net.ParseMAC(o.LLAddr)
		if err != nil {
			return fmt.Errorf("lladdr %s: %w", o.LLAddr, err)
		}
		t.net.lladdr = mac
	}
	if err := t.addresses(); err != nil {
		return err
	}
	t.wantsRoutes6 = len(o.RoutesIPv6) > 0
	t.gateways()
	t.routes()
	t.deviceVars()
	t.planDNS()
	if t.noIPv6 {
		return t.dropIPv6()
	}
	return nil
}

func devType(d config.DevType) tun.Type {
	switch d {
	case config.DevTap:
		return tun.TAP
	case config.DevNull:
		return tun.Null
	default:
		return tun.TUN
	}
}

// addresses works out the tunnel addresses: with tap and topology subnet the second one of ifconfig is a netmask.
func (t *Tunnel) addresses() error {
	o, n := t.cfg.Options, &t.net
	if o.Ifconfig.Set() {
		local, err := t.address(o.Ifconfig.Local, o.Ifconfig.LocalName)
		if err != nil {
			return err
		}
		remote, err := t.address(o.Ifconfig.Remote, o.Ifconfig.RemoteName)
		if err != nil {
			return err
		}
		n.local4, n.local, n.remote = local, local.String(), remote.String()
		t.doubtAddresses(local, remote)
		if o.DevType == config.DevTap || o.Topology == config.TopologySubnet {
			bits, err := maskBits(remote)
			if err != nil {
				return err
			}
			n.addrs = append(n.addrs, netconf.Addr{Prefix: netip.PrefixFrom(local, bits)})
		} else {
			n.addrs = append(n.addrs, netconf.Addr{Prefix: netip.PrefixFrom(local, 32), Peer: remote})
			n.vpn4 = remote
		}
	}
	if o.RouteGateway != "" {
		gw, err := t.address(netip.Addr{}, o.RouteGateway)
		if err != nil {
			return err
		}
		n.vpn4 = gw
	}
	if o.IfconfigIPv6.Set() {
		n.local6 = o.IfconfigIPv6.Local.Addr()
		n.addrs = append(n.addrs, netconf.Addr{Prefix: o.IfconfigIPv6.Local})
	}
	return nil
}

// address returns addr, or looks name up when only that is given.
func (t *Tunnel) address(addr netip.Addr, name string) (netip.Addr, error) {
	if addr.IsValid() || name == "" {
		return addr, nil
	}
	addrs, err := transport.Resolve(t.ctx, name, transport.FamilyIPv4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("resolve %s: %w", name, err)
	}
	return addrs[0], nil
}

// maskBits is the length of a netmask. A mask with holes is an error.
func maskBits(mask netip.Addr) (int, error) {
	if !mask.Is4() {
		return 0, fmt.Errorf("netmask %s is no IPv4 mask", mask)
	}
	m := mask.As4()
	ones, bits := net.IPv4Mask(m[0], m[1], m[2], m[3]).Size()
	if bits == 0 {
		return 0, fmt.Errorf("netmask %s has holes", mask)
	}
	return ones, nil
}

// routes works out the routes and their variables, in stock's order. What cannot be worked out is logged and left out.
func (t *Tunnel) routes() {
	t.gatewayVars()
	t.routes4()
	t.routes6()
}

// routeVar adds a variable for scripts.
func (n *network) routeVar(format string, args ...any) {
	n.routeVars = append(n.routeVars, fmt.Sprintf(format, args...))
}

// gatewayVars tells scripts the gateways of this host and of the tunnel.
func (t *Tunnel) gatewayVars() {
	n := &t.net
	if len(t.cfg.Options.Routes) > 0 || n.redirect.Enabled {
		netGateway := "0.0.0.0"
		if t.gw4.Addr.IsValid() {
			netGateway = t.gw4.Addr.String()
		}
		n.routeVar("route_net_gateway=%s", netGateway)
		if n.vpn4.IsValid() {
			n.routeVar("route_vpn_gateway=%s", n.vpn4)
		}
	}
	switch gw := t.gw6; {
	case gw.OnLink && n.server.Is6(): // the server itself
		n.routeVar("net_gateway_ipv6=%s", n.server)
	case gw.Addr.IsValid():
		n.routeVar("net_gateway_ipv6=%s", gw.Addr)
	}
}

// routes4 works out the IPv4 routes.
func (t *Tunnel) routes4() {
	n := &t.net
	k := 0
	tell := func(dst netip.Prefix, via netip.Addr, metric int) {
		k++
		n.routeVar("route_network_%d=%s", k, dst.Addr())
		n.routeVar("route_netmask_%d=%s", k, net.IP(net.CIDRMask(dst.Bits(), 32)))
		n.routeVar("route_gateway_%d=%s", k, via)
		if metric >= 0 {
			n.routeVar("route_metric_%d=%d", k, metric)
		}
	}
	for _, r := range t.cfg.Options.Routes {
		for _, route := range t.route4(r) {
			tell(route.Dst, route.Via, route.Metric)
			n.routes = append(n.routes, route)
		}
	}
	if n.vpn4.IsValid() {
		for _, half := range n.redirect.Blocked(t.gw4, n.server) {
			tell(half, n.vpn4, netconf.NoMetric)
		}
	}
}

// routes6 works out the IPv6 routes. The first variable is that of the route around the tunnel to a server with an IPv6 address.
func (t *Tunnel) routes6() {
	o, n := t.cfg.Options, &t.net
	far := "::" // as stock has it without one
	if r := o.IfconfigIPv6.Remote; r.IsValid() {
		far = r.String()
	}
	i := 0
	tell := func(network netip.Prefix, gateway string, metric int) {
		n.routeVar("route_ipv6_network_%d=%s", i, network)
		n.routeVar("route_ipv6_gateway_%d=%s", i, gateway)
		if metric >= 0 {
			n.routeVar("route_ipv6_metric_%d=%d", i, metric)
		}
	}
	if around, ok := t.around6(); ok {
		i++
		gateway := netip.IPv6Unspecified()
		if around.Via.IsValid() {
			gateway = around.Via
		}
		tell(around.Dst, gateway.String(), around.Metric)
	}
	for _, r := range o.RoutesIPv6 {
		i++ // also for one that is left out
		route, ok := t.route6(r)
		if !ok {
			continue
		}
		gw := r.Gateway
		if gw == "" || gw == "default" {
			gw = far
		}
		tell(r.Network, gw, route.Metric)
		n.routes6 = append(n.routes6, route)
	}
	for _, network := range n.redirect.IPv6Routes() {
		i++
		tell(network, far, t.metric(-1))
	}
}

// around6 is the route around the tunnel to a server with an IPv6 address, false when none is needed.
func (t *Tunnel) around6() (netconf.Route, bool) {
	var routes []netip.Prefix
	for _, r := range t.cfg.Options.RoutesIPv6 {
		routes = append(routes, r.Network)
	}
	covering, r := t.net.redirect.ServerRoute6(t.net.server, t.gw6, routes)
	return r, covering.IsValid()
}

// route4 is a route option as routes: several when its network is a name with several addresses.
func (t *Tunnel) route4(r config.Route) []netconf.Route {
	bad := func(what string) []netconf.Route {
		t.cfg.Log(logging.Warn, "OpenVPN ROUTE: failed to parse/resolve route for host/network: %s", what)
		return nil
	}
	bits := 32
	if r.Netmask != "" && r.Netmask != "default" {
		mask, err := netip.ParseAddr(r.Netmask)
		if err != nil {
			return bad(r.Network)
		}
		if bits, err = maskBits(mask); err != nil {
			return bad(r.Network)
		}
	}
	gateway := t.net.vpn4
	if r.Gateway != "" && r.Gateway != "default" {
		addrs := t.special(r.Gateway)
		if len(addrs) == 0 {
			return bad(r.Network)
		}
		gateway = addrs[0]
	}
	if !gateway.IsValid() {
		t.cfg.Log(logging.Warn, "OpenVPN ROUTE: OpenVPN needs a gateway parameter for a --route option and no default was specified by either --route-gateway or --ifconfig options")
		return bad(r.Network)
	}
	networks := t.special(r.Network)
	if len(networks) == 0 {
		return bad(r.Network)
	}
	var out []netconf.Route
	for _, network := range networks {
		out = append(out, netconf.Route{Dst: netip.PrefixFrom(network, bits), Via: gateway, Metric: t.metric(r.Metric), Table: t.table(r.Table)})
	}
	return out
}

func (t *Tunnel) metric(own int) int {
	switch {
	case own >= 0:
		return own
	case t.cfg.Options.RouteMetric > 0:
		return t.cfg.Options.RouteMetric
	default:
		return netconf.NoMetric
	}
}

func (t *Tunnel) table(own int) int {
	if own > 0 {
		return own
	}
	return t.cfg.Options.RouteTable
}

// special resolves an address, a keyword or a host name of a route option.
func (t *Tunnel) special(word string) []netip.Addr {
	one := func(addr netip.Addr) []netip.Addr {
		if !addr.IsValid() {
			return nil
		}
		return []netip.Addr{addr}
	}
	switch word {
	case "vpn_gateway":
		return one(t.net.vpn4)
	case "net_gateway":
		return one(t.gw4.Addr)
	case "remote_host":
		return one(t.cfg.Server)
	}
	if addr, err := netip.ParseAddr(word); err == nil {
		return one(addr)
	}
	addrs, err := transport.Resolve(t.ctx, word, transport.FamilyIPv4)
	if err != nil {
		return nil
	}
	return addrs
}

// route6 is an IPv6 route: through the device itself, with a gateway only on tap.
func (t *Tunnel) route6(r config.RouteIPv6) (netconf.Route, bool) {
	route := netconf.Route{Dst: r.Network.Masked(), Metric: t.metric(r.Metric), Table: t.table(r.Table)}
	gateway := r.Gateway
	if (gateway == "" || gateway == "default") && t.cfg.Options.DevType == config.DevTap {
		gateway = t.cfg.Options.RouteIPv6Gateway
	}
	switch gateway {
	case "", "default":
		route.Shown = t.cfg.Options.IfconfigIPv6.Remote
		return route, true
	case "net_gateway_ipv6", "net_gateway":
		if !t.gw6.Addr.IsValid() {
			return route, false
		}
		route.Via, route.Dev = t.gw6.Addr, t.gw6.Dev
		return route, true
	}
	addr, err := netip.ParseAddr(gateway)
	if err != nil {
		return route, false
	}
	if t.cfg.Options.DevType == config.DevTap { // a tun device has one way out, as with stock
		route.Via = addr
	}
	route.Shown = addr
	return route, true
}

// deviceVars are the variables of the resolvers and of the addresses, in stock's order.
func (t *Tunnel) deviceVars() {
	o, n := t.cfg.Options, &t.net
	set := func(format string, args ...any) { n.vars = append(n.vars, fmt.Sprintf(format, args...)) }
	if o.Compat.TellsScriptsDNS() {
		n.vars = append(n.vars, dnsVars(o.DNSServers, o.DNSSearchDomains)...)
	}
	for i, f := range o.ForeignForScripts() {
		set("foreign_option_%d=%s", i+1, f)
	}
	if n.local4.IsValid() {
		set("ifconfig_local=%s", n.local)
		if o.DevType == config.DevTap || o.Topology == config.TopologySubnet {
			set("ifconfig_netmask=%s", n.remote)
		} else {
			set("ifconfig_remote=%s", n.remote)
		}
	}
	if n.local6.IsValid() {
		set("ifconfig_ipv6_local=%s", n.local6)
		set("ifconfig_ipv6_netbits=%d", o.IfconfigIPv6.Local.Bits())
		if o.IfconfigIPv6.Remote.IsValid() {
			set("ifconfig_ipv6_remote=%s", o.IfconfigIPv6.Remote)
		}
	}
}
