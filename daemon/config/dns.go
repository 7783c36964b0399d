package config

import (
	"net/netip"
	"slices"
	"strings"
)

// finishDNS checks the servers of the dns option.
func (p *parser) finishDNS() error {
	if bad := p.o.orderDNS(); bad != "" {
		return fatalf("ERROR: %s", bad)
	}
	return nil
}

// orderDNS sorts the servers of the dns option, and returns what is wrong with one.
func (o *Options) orderDNS() string {
	slices.SortStableFunc(o.DNSServers, func(a, b DNSServer) int { return a.Priority - b.Priority })
	for _, s := range o.DNSServers {
		if len(s.Addresses) == 0 {
			return sprintf("dns server %d does not have an address assigned", []any{s.Priority})
		}
	}
	return ""
}

// UpdatesDNS reports whether dns-updown, or the daemon in its place, applies the resolvers, so that up scripts need not.
func (o *Options) UpdatesDNS() bool {
	switch o.DNSUpdown {
	case "disable":
		return false
	case "":
		return o.Compat.BuiltinDNS() && o.Up == ""
	default:
		return true
	}
}

// dnsScript is the script of dns-updown, "" for none.
func (o *Options) dnsScript() string {
	if o.DNSUpdown == "disable" || o.DNSUpdown == "force" {
		return ""
	}
	return o.DNSUpdown
}

// Resolvers are the servers and search domains for dns-updown: those of the dns option, or of dhcp-option where that names no
// server. The last of DOMAIN and ADAPTER_DOMAIN_SUFFIX comes before the others.
//
// Rule: docs/protocol.md#810-dns-updown.
func (o *Options) Resolvers() (servers []DNSServer, search []string) {
	if len(o.DNSServers) > 0 {
		return o.DNSServers, o.DNSSearchDomains
	}
	var server DNSServer
	var domain string
	for _, f := range o.ForeignOptions {
		words := strings.Fields(f)
		if len(words) != 3 {
			continue
		}
		switch kind, value := words[1], words[2]; kind {
		case "DNS", "DNS6":
			if a, err := netip.ParseAddr(value); err == nil {
				server.Addresses = append(server.Addresses, DNSAddress{Addr: a})
			}
		case "DOMAIN", "ADAPTER_DOMAIN_SUFFIX":
			domain = value
		case "DOMAIN-SEARCH":
			search = append(search, value)
		}
	}
	if domain != "" {
		search = slices.Insert(search, 0, domain)
	}
	if len(server.Addresses) > 0 {
		servers = []DNSServer{server}
	}
	return servers, search
}

// ForeignForScripts are the values of foreign_option_1 and so on, with the dns option in the words of dhcp-option. 2.6 replaces what
// that option names, and translates all of it. With 2.7 scripts get all kinds of resolver settings or none: none where
// dns-updown sees to them, and the first server only that needs nothing but an address.
//
// Rule: docs/protocol.md#811-resolvers-for-other-scripts.
func (o *Options) ForeignForScripts() []string {
	if !o.Compat.TellsScriptsDNS() {
		return o.foreign27()
	}
	var gone, list []string
	if len(o.DNSServers) > 0 {
		gone = append(gone, "DNS", "DNS6")
	}
	if len(o.DNSSearchDomains) > 0 {
		gone = append(gone, "DOMAIN-SEARCH")
	}
	list = o.foreignBut(gone)
	for _, s := range o.DNSServers {
		list = append(list, s.foreign()...)
	}
	for _, d := range o.DNSSearchDomains {
		list = append(list, "dhcp-option DOMAIN-SEARCH "+d)
	}
	return list
}

func (o *Options) foreign27() []string {
	if !o.UpdatesDNS() && len(o.DNSServers) == 0 {
		return o.ForeignOptions
	}
	list := o.foreignBut([]string{"DNS", "DNS6", "DOMAIN", "DOMAIN-SEARCH"})
	if o.UpdatesDNS() {
		return list
	}
	for _, d := range o.DNSSearchDomains {
		list = append(list, "dhcp-option DOMAIN "+d)
	}
	if i := slices.IndexFunc(o.DNSServers, DNSServer.plain); i >= 0 {
		list = append(list, o.DNSServers[i].foreign()...)
	}
	return list
}

// foreignBut are the foreign options of other kinds.
func (o *Options) foreignBut(kinds []string) []string {
	return slices.DeleteFunc(slices.Clone(o.ForeignOptions), func(s string) bool {
		f := strings.Fields(s)
		return len(f) > 1 && slices.Contains(kinds, f[1])
	})
}

// foreign are the addresses in the words of dhcp-option.
func (s DNSServer) foreign() (list []string) {
	for _, a := range s.Addresses {
		kind := "DNS"
		if a.Addr.Is6() {
			kind = "DNS6"
		}
		list = append(list, "dhcp-option "+kind+" "+a.Addr.String())
	}
	return list
}

// plain reports whether a resolver that knows only addresses can use the server.
func (s DNSServer) plain() bool {
	return (s.Transport == "" || s.Transport == "plain") && (s.DNSSEC == "" || s.DNSSEC == "no") &&
		!slices.ContainsFunc(s.Addresses, func(a DNSAddress) bool { return a.Port != 0 && a.Port != 53 })
}
