package config

import (
	"net/netip"
	"strings"
	"time"
)

// routeRows are the options about routes and resolvers.
func routeRows() []row {
	return []row{
		{"route", 1, 4, inMain | inRoutes | inUpdate, classRoutes, (*parser).route},
		{"route-ipv6", 1, 3, inMain | inRoutes | inUpdate, classRoutes, (*parser).routeIPv6},
		{"route-gateway", 1, 1, mainPush | inUpdate, classRouteExtras, func(p *parser, a []string) error {
			switch {
			case a[0] == "dhcp":
				p.o.RouteGatewayDHCP = true
			case p.addressOrName(a[0]):
				p.o.RouteGateway = a[0]
			default:
				return errorf("route-gateway parm '%s' must be a valid address", a[0])
			}
			return nil
		}},
		{"route-ipv6-gateway", 1, 1, unruled, classRouteExtras, func(p *parser, a []string) error {
			if _, ok := ipv6(a[0]); !ok {
				return errorf("route-ipv6-gateway parm '%s' must be a valid address", a[0])
			}
			p.o.RouteIPv6Gateway = a[0]
			return nil
		}},
		{"route-metric", 1, 1, inMain | inRoutes | inUpdate, classRoutes, number(0, maxSeconds, func(o *Options) *int { return &o.RouteMetric })},
		{"route-table", 1, 1, inMain, 0, number(0, maxSeconds, func(o *Options) *int { return &o.RouteTable })},
		{"route-delay", 0, 2, mainPush, classRouteExtras, func(p *parser, a []string) (err error) {
			p.o.RouteDelayDefined, p.o.RouteDelay = true, 0
			if len(a) > 0 {
				p.o.RouteDelay, err = duration(p, "route-delay", a[0])
			}
			if err == nil && len(a) > 1 {
				p.o.RouteDelayWindow, err = duration(p, "route-delay", a[1])
			}
			return err
		}},
		{"route-noexec", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.RouteNoexec })},
		{"route-nopull", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.RouteNopull })},
		{"redirect-gateway", 0, many, inMain | inRoutes | inUpdate, classRoutes, (*parser).redirect},
		{"redirect-private", 0, many, inMain | inRoutes | inUpdate, classRoutes, (*parser).redirect},
		{"allow-pull-fqdn", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.AllowPullFQDN })},
		{"dhcp-option", 1, many, inMain | inRoutes | inUpdate, classDNS, func(p *parser, a []string) error {
			if p.ctx == pushContext && len(a) > 2 && p.o.Compat == Compat26 {
				return p.unrecognized()
			}
			p.o.ForeignOptions = append(p.o.ForeignOptions, "dhcp-option "+strings.Join(a[:min(len(a), 2)], " ")) // no more, as 2.7
			return nil
		}},
		{"dns", 1, many, inMain | inRoutes | inUpdate, classDNS, (*parser).dns},
	}
}

// route keeps what a file says as it is: names are resolved when the route is added. Pulled routes are checked here.
func (p *parser) route(a []string) error {
	r := Route{Network: a[0], Metric: -1, Table: p.o.RouteTable}
	if len(a) > 1 {
		r.Netmask = a[1]
	}
	if len(a) > 2 {
		r.Gateway = a[2]
	}
	if len(a) > 3 && a[3] != "default" {
		var err error
		if r.Metric, err = integer(p, "route", a[3], 0, maxSeconds); err != nil {
			return err
		}
	}
	if p.ctx == pushContext {
		if !p.addressOrName(r.Network) && !isRouteWord(r.Network) {
			return errorf("route parameter network/IP '%s' must be a valid address", r.Network)
		}
		if _, ok := ipv4(r.Netmask); !ok && r.Netmask != "" {
			return errorf("route parameter netmask '%s' must be an IP address", r.Netmask)
		}
		if r.Gateway != "" && !p.addressOrName(r.Gateway) && !isRouteWord(r.Gateway) {
			return errorf("route parameter gateway '%s' must be a valid address", r.Gateway)
		}
	}
	p.o.Routes = append(p.o.Routes, r)
	return nil
}

// isRouteWord reports whether s stands for an address in a route.
func isRouteWord(s string) bool {
	return s == "vpn_gateway" || s == "net_gateway" || s == "remote_host"
}

func (p *parser) routeIPv6(a []string) error {
	network, ok := ipv6Bits(a[0], 128)
	if !ok {
		if p.ctx == pushContext {
			return errorf("route-ipv6 parameter network/IP '%s' must be a valid address", a[0])
		}
		p.warn("OpenVPN ROUTE6: failed to parse route %s", a[0]) // a file with such a line still starts
		return nil
	}
	r := RouteIPv6{Network: network, Metric: -1, Table: p.o.RouteTable}
	if len(a) > 1 {
		r.Gateway = a[1]
		inFile := p.ctx != pushContext && (isRouteWord(r.Gateway) || r.Gateway == "default" || r.Gateway == "net_gateway_ipv6" || r.Gateway == "vpn_gateway_ipv6")
		if _, ok := ipv6(r.Gateway); !ok && !inFile {
			return errorf("route-ipv6 parameter gateway '%s' must be a valid address", r.Gateway)
		}
	}
	if len(a) > 2 && a[2] != "default" {
		var err error
		if r.Metric, err = integer(p, "route-ipv6", a[2], 0, maxSeconds); err != nil {
			return err
		}
	}
	p.o.RoutesIPv6 = append(p.o.RoutesIPv6, r)
	return nil
}

func (p *parser) redirect(a []string) error {
	r := p.o.Redirect
	if r.Enabled {
		p.warn("WARNING: You have specified redirect-gateway and redirect-private at the same time (or the same option multiple times). " +
			"This is not well supported and may lead to unexpected results")
	}
	r.Enabled, r.NoIPv4 = true, false // the other flags stay
	if p.line.Name == "redirect-gateway" {
		r.Gateway = true
	}
	for _, f := range a {
		switch f {
		case "local":
			r.Local = true
		case "autolocal":
			r.AutoLocal = true
		case "def1":
			r.Def1 = true
		case "bypass-dhcp":
			r.BypassDHCP = true
		case "bypass-dns":
			r.BypassDNS = true
		case "block-local":
			r.BlockLocal = true
		case "ipv6":
			r.IPv6 = true
		case "!ipv4":
			r.NoIPv4 = true
		default:
			p.o.Redirect = r // a server that pushes a flag we do not know still wants the traffic
			return errorf("unknown --%s flag: %s", p.line.Name, f)
		}
	}
	p.o.Redirect = r
	return nil
}

// seconds of the default waits.
const (
	defaultRouteWindow = 30 * time.Second
	maxDNSAddresses    = 8
)

func (p *parser) dns(a []string) error {
	switch {
	case a[0] == "search-domains" && len(a) > 1:
		p.o.DNSSearchDomains = append(p.o.DNSSearchDomains, a[1:]...)
		return nil
	case a[0] == "server" && len(a) > 3:
		return p.dnsServer(a[1], a[2], a[3:])
	default:
		return errorf("--dns: unknown option type '%s' or missing or unknown parameter", a[0])
	}
}

func (p *parser) dnsServer(prio, what string, a []string) error {
	low := -128
	if p.ctx == pushContext {
		low = 0
	}
	n, err := integer(p, "dns", prio, low, 127)
	if err != nil || !isNumber(prio) {
		return errorf("--dns server: invalid priority value '%s'", prio)
	}
	s := p.o.dnsServer(n, p.ctx == pushContext)
	switch {
	case what == "address":
		for _, word := range a {
			addr, ok := parseDNSAddress(word)
			if !ok || len(s.Addresses) >= maxDNSAddresses {
				return errorf("--dns server %d: malformed address or maximum exceeded '%s'", n, word)
			}
			s.Addresses = append(s.Addresses, addr)
		}
	case what == "resolve-domains":
		s.ResolveDomains = append(s.ResolveDomains, a...)
	case what == "dnssec" && len(a) == 1:
		if a[0] != "yes" && a[0] != "no" && a[0] != "optional" {
			return errorf("--dns server %d: malformed dnssec value '%s'", n, a[0])
		}
		s.DNSSEC = a[0]
	case what == "transport" && len(a) == 1:
		if a[0] != "plain" && a[0] != "DoH" && a[0] != "DoT" {
			return errorf("--dns server %d: malformed transport value '%s'", n, a[0])
		}
		s.Transport = a[0]
	case what == "sni" && len(a) == 1:
		s.SNI = a[0]
	default:
		return errorf("--dns server %d: unknown option type '%s' or missing or unknown parameter", n, what)
	}
	return nil
}

// dnsServer returns the server of that priority, a new one if need be. The first pulled line about a server of the
// file replaces it.
func (o *Options) dnsServer(prio int, pulled bool) *DNSServer {
	for i := range o.DNSServers {
		s := &o.DNSServers[i]
		if s.Priority != prio {
			continue
		}
		if pulled && !s.pulled {
			*s = DNSServer{Priority: prio, pulled: true}
		}
		return s
	}
	o.DNSServers = append(o.DNSServers, DNSServer{Priority: prio, pulled: pulled})
	return &o.DNSServers[len(o.DNSServers)-1]
}

// parseDNSAddress parses 192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53.
func parseDNSAddress(s string) (DNSAddress, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil && a.Zone() == "" {
		return DNSAddress{Addr: a}, true
	}
	ap, err := netip.ParseAddrPort(s)
	return DNSAddress{Addr: ap.Addr(), Port: ap.Port()}, err == nil && ap.Port() != 0 && ap.Addr().Zone() == ""
}
