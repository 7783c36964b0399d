package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What scripts are told of resolvers, as 2.6.14 and 2.7.8 told an up script and one of dns-updown. Lists are of foreign options
// without their first word; empty is none.
func TestResolversForScripts(t *testing.T) {
	const (
		server = "dns server 1 address 192.0.2.53"
		search = "dns search-domains s1 s2"
		dhcp   = "dhcp-option DNS 10.1.1.1|dhcp-option DOMAIN x"
	)
	for _, tt := range []struct {
		options             string // separated by bars
		foreign26, script27 string // of an up script
		search              string // of dns-updown
	}{
		{options: server + "|" + search, foreign26: "DNS 192.0.2.53|DOMAIN-SEARCH s1|DOMAIN-SEARCH s2", script27: "DOMAIN s1|DOMAIN s2|DNS 192.0.2.53", search: "s1 s2"},
		{options: server + ":53", foreign26: "DNS 192.0.2.53", script27: "DNS 192.0.2.53"},
		{options: server + ":5353", foreign26: "DNS 192.0.2.53"},
		{options: server + " 192.0.2.54:5353", foreign26: "DNS 192.0.2.53|DNS 192.0.2.54"},
		{options: server + "|dns server 1 transport DoT", foreign26: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 transport plain", foreign26: "DNS 192.0.2.53", script27: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 dnssec yes", foreign26: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 dnssec optional", foreign26: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 dnssec no", foreign26: "DNS 192.0.2.53", script27: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 sni x|dns server 1 resolve-domains a", foreign26: "DNS 192.0.2.53", script27: "DNS 192.0.2.53"},
		{options: server + "|dns server 1 transport DoH|dns server 2 address 2001:db8::1", foreign26: "DNS 192.0.2.53|DNS6 2001:db8::1", script27: "DNS6 2001:db8::1"},
		{options: "dns server 5 address 192.0.2.55|dns server -3 address 192.0.2.50", foreign26: "DNS 192.0.2.50|DNS 192.0.2.55", script27: "DNS 192.0.2.50"},
		{options: search, foreign26: "DOMAIN-SEARCH s1|DOMAIN-SEARCH s2", search: ""},
		{options: dhcp, foreign26: "DNS 10.1.1.1|DOMAIN x", script27: "DNS 10.1.1.1|DOMAIN x", search: "x"},
		{options: dhcp + "|" + search, foreign26: "DNS 10.1.1.1|DOMAIN x|DOMAIN-SEARCH s1|DOMAIN-SEARCH s2", script27: "DNS 10.1.1.1|DOMAIN x", search: "x"},
		{
			options:   dhcp + "|dhcp-option DOMAIN-SEARCH y|dhcp-option WINS 10.1.1.2|dhcp-option ADAPTER_DOMAIN_SUFFIX z|" + server,
			foreign26: "DOMAIN x|DOMAIN-SEARCH y|WINS 10.1.1.2|ADAPTER_DOMAIN_SUFFIX z|DNS 192.0.2.53", script27: "WINS 10.1.1.2|ADAPTER_DOMAIN_SUFFIX z|DNS 192.0.2.53",
		},
		{
			options:   dhcp + "|dhcp-option DOMAIN-SEARCH y|dhcp-option DOMAIN b|dhcp-option DOMAIN-SEARCH z",
			foreign26: "DNS 10.1.1.1|DOMAIN x|DOMAIN-SEARCH y|DOMAIN b|DOMAIN-SEARCH z", script27: "DNS 10.1.1.1|DOMAIN x|DOMAIN-SEARCH y|DOMAIN b|DOMAIN-SEARCH z", search: "b y z",
		},
		{options: dhcp + "|dhcp-option ADAPTER_DOMAIN_SUFFIX z", foreign26: "DNS 10.1.1.1|DOMAIN x|ADAPTER_DOMAIN_SUFFIX z", script27: "DNS 10.1.1.1|DOMAIN x|ADAPTER_DOMAIN_SUFFIX z", search: "z"},
		{options: "dhcp-option PROXY_HTTP 192.0.2.1 8080|dhcp-option FOO", foreign26: "PROXY_HTTP 192.0.2.1|FOO", script27: "PROXY_HTTP 192.0.2.1|FOO"},
	} {
		t.Run(tt.options, func(t *testing.T) {
			for compat, want := range map[string]string{"2.6": tt.foreign26, "2.7": tt.script27} {
				o := mustParse(t, minimal+"remote a\nscript-security 2\nup /bin/true\ncompat "+compat+"\n"+strings.ReplaceAll(tt.options, "|", "\n")+"\n")
				if diff := cmp.Diff(foreign(want), foreign(strings.Join(o.ForeignForScripts(), "|"))); diff != "" {
					t.Errorf("%s: up (-stock +ours):\n%s", compat, diff)
				}
			}
			o := mustParse(t, minimal+"remote a\nscript-security 2\nup /bin/true\ndns-updown /bin/true\ncompat 2.7\n"+strings.ReplaceAll(tt.options, "|", "\n")+"\n")
			for _, f := range o.ForeignForScripts() {
				if kind := strings.Fields(f)[1]; strings.HasPrefix(kind, "D") {
					t.Errorf("%q beside dns-updown", f)
				}
			}
			servers, search := o.Resolvers()
			if len(servers) == 0 {
				search = nil // it does not run
			}
			if got := strings.Join(search, " "); got != tt.search {
				t.Errorf("dns-updown: search %q, want %q", got, tt.search)
			}
		})
	}
}

// foreign splits a list of foreign options, and drops their first words.
func foreign(list string) (out []string) {
	for f := range strings.SplitSeq(list, "|") {
		if f != "" {
			out = append(out, strings.TrimPrefix(f, "dhcp-option "))
		}
	}
	return out
}
