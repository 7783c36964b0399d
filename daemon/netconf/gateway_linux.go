package netconf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// DefaultGateway finds the way towards an address. Questions for the default route, and all IPv6 ones, are logged the way
// stock does before it adds routes.
func (s *System) DefaultGateway(towards netip.Addr) (Gateway, error) {
	towards = towards.Unmap()
	if towards.Is4() {
		return s.gateway4(towards)
	}
	return s.gateway6(towards)
}

func (s *System) gateway4(towards netip.Addr) (Gateway, error) {
	logf := s.logf
	if !towards.IsUnspecified() {
		logf = logging.Func(nil).OrDiscard()
	}
	logf(logging.Steps, "net_route_v4_best_gw query: dst %s", towards)
	g, err := s.lookup(netlink.FAMILY_V4, towards)
	if err != nil {
		logf(logging.Steps, "ROUTE_GATEWAY 0.0.0.0")
		return Gateway{}, err
	}
	via := g.Addr
	if !via.IsValid() {
		via = netip.IPv4Unspecified()
	}
	logf(logging.Steps, "net_route_v4_best_gw result: via %s dev %s", via, g.Dev)
	logf(logging.Steps, "%s", g.Line())
	return g, nil
}

func (s *System) gateway6(towards netip.Addr) (Gateway, error) {
	host := "n/a"
	if !towards.IsUnspecified() {
		host = towards.String()
	}
	s.logf(logging.Steps, "GDG6: remote_host_ipv6=%s", host)
	s.logf(logging.Steps, "net_route_v6_best_gw query: dst %s", towards)
	g, err := s.lookup(netlink.FAMILY_V6, towards)
	if err != nil {
		s.logf(logging.Steps, "ROUTE6: default_gateway=UNDEF")
		return Gateway{}, err
	}
	via := g.Addr
	if !via.IsValid() {
		via = netip.IPv6Unspecified()
	}
	s.logf(logging.Steps, "net_route_v6_best_gw result: via %s dev %s", via, g.Dev)
	if g.OnLink {
		s.logf(logging.Steps, "ROUTE6_GATEWAY %s ON_LINK IFACE=%s", towards, g.Dev)
	} else {
		s.logf(logging.Steps, "ROUTE6_GATEWAY %s IFACE=%s", via, g.Dev)
	}
	return g, nil
}

// lookup asks the kernel and fills in what else we tell about a gateway.
func (s *System) lookup(family int, towards netip.Addr) (Gateway, error) {
	r, err := s.bestRoute(family, towards)
	if err != nil {
		return Gateway{}, err
	}
	index, via := r.LinkIndex, r.Gw
	if len(r.MultiPath) > 0 {
		index, via = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw
	}
	link, err := s.h.LinkByIndex(index)
	if err != nil {
		return Gateway{}, fmt.Errorf("find device %d: %w", index, err)
	}
	g := Gateway{Dev: link.Attrs().Name, MAC: link.Attrs().HardwareAddr, Metric: r.Priority}
	if g.Metric == 0 {
		g.Metric = NoMetric
	}
	if a, ok := netip.AddrFromSlice(via); ok {
		g.Addr = a.Unmap()
	}
	g.OnLink = !g.Addr.IsValid() || g.Addr.IsUnspecified()
	addrs, err := s.h.AddrList(link, family)
	if err != nil {
		return Gateway{}, fmt.Errorf("list addresses of %s: %w", g.Dev, err)
	}
	near := g.Addr
	if g.OnLink {
		near = towards
	}
	for _, a := range addrs {
		p, ok := prefixOf(a.IPNet)
		if !ok {
			continue
		}
		if p.Contains(near) || !g.Prefix.IsValid() {
			g.Prefix = p
			if p.Contains(near) {
				break
			}
		}
	}
	return g, nil
}

// bestRoute is the kernel's choice for an address, or the default route with the lowest metric.
func (s *System) bestRoute(family int, towards netip.Addr) (netlink.Route, error) {
	if !towards.IsUnspecified() {
		routes, err := s.h.RouteGet(towards.AsSlice())
		switch {
		case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), err == nil && len(routes) == 0:
			return netlink.Route{}, ErrNoGateway
		case err != nil:
			return netlink.Route{}, fmt.Errorf("look up route to %s: %w", towards, err)
		}
		return routes[0], nil
	}
	routes, err := s.h.RouteList(nil, family)
	if err != nil {
		return netlink.Route{}, fmt.Errorf("list routes: %w", err)
	}
	best := -1
	for i, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
				continue
			}
		}
		if r.Type == unix.RTN_UNICAST && (best < 0 || r.Priority < routes[best].Priority) {
			best = i
		}
	}
	if best < 0 {
		return netlink.Route{}, ErrNoGateway
	}
	return routes[best], nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), true
}
