package config

import (
	"slices"
	"strings"
)

// finishDNS checks the servers of the dns option and translates them for old scripts.
func (p *parser) finishDNS() error {
	if bad := p.o.translateDNS(); bad != "" {
		return fatalf("ERROR: %s", bad)
	}
	return nil
}

// translateDNS sorts the servers and replaces resolver settings among the foreign options by those of the dns option.
// It returns what is wrong with a server.
func (o *Options) translateDNS() string {
	slices.SortStableFunc(o.DNSServers, func(a, b DNSServer) int { return a.Priority - b.Priority })
	for _, s := range o.DNSServers {
		if len(s.Addresses) == 0 {
			return sprintf("dns server %d does not have an address assigned", []any{s.Priority})
		}
	}
	if len(o.DNSServers) == 0 && len(o.DNSSearchDomains) == 0 {
		return ""
	}
	kept := slices.DeleteFunc(slices.Clone(o.ForeignOptions), func(s string) bool {
		f := strings.Fields(s)
		return len(f) > 1 && (f[1] == "DNS" || f[1] == "DNS6" || f[1] == "DOMAIN-SEARCH")
	})
	for _, s := range o.DNSServers {
		for _, a := range s.Addresses {
			kind := "DNS"
			if a.Addr.Is6() {
				kind = "DNS6"
			}
			kept = append(kept, "dhcp-option "+kind+" "+a.Addr.String())
		}
	}
	for _, d := range o.DNSSearchDomains {
		kept = append(kept, "dhcp-option DOMAIN-SEARCH "+d)
	}
	o.ForeignOptions = kept
	return ""
}
