package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// resolvers are the name servers of a tunnel and what is to be done with them.
type resolvers struct {
	servers []config.DNSServer
	search  []string
	script  string // dns-updown's; with host set: none
	host    bool   // tell the host ourselves
}

// planDNS takes the resolvers from the options. Those of dhcp-option count where no server comes from the dns option.
//
// Rule: docs/protocol.md#810-dns-updown.
func (t *Tunnel) planDNS() {
	o := t.cfg.Options
	d := &t.net.dns
	switch o.DNSUpdown {
	case "disable":
		return
	case "force":
		d.host = true
	case "":
		d.host = o.Compat.BuiltinDNS() && o.Up == ""
	default:
		d.script = o.DNSUpdown
	}
	if !d.host && d.script == "" {
		return
	}
	d.servers, d.search = o.DNSServers, slices.Clone(o.DNSSearchDomains)
	if len(d.servers) > 0 || len(d.search) > 0 {
		return
	}
	var server config.DNSServer
	for _, f := range o.ForeignOptions {
		words := strings.Fields(f)
		if len(words) != 3 {
			continue
		}
		switch words[1] {
		case "DNS", "DNS6":
			if a, err := netip.ParseAddr(words[2]); err == nil {
				server.Addresses = append(server.Addresses, config.DNSAddress{Addr: a})
			}
		case "DOMAIN", "DOMAIN-SEARCH":
			d.search = append(d.search, words[2])
		}
	}
	if len(server.Addresses) > 0 {
		d.servers = []config.DNSServer{server}
	}
}

// vars are the variables for scripts, "name=value".
func (d *resolvers) vars() []string { return dnsVars(d.servers, d.search) }

func dnsVars(servers []config.DNSServer, search []string) (vars []string) {
	set := func(format string, args ...any) { vars = append(vars, fmt.Sprintf(format, args...)) }
	for i, d := range search {
		set("dns_search_domain_%d=%s", i+1, d)
	}
	for s, server := range servers {
		for i, addr := range server.Addresses {
			set("dns_server_%d_address_%d=%s", s+1, i+1, addr.Addr)
			if addr.Port != 0 {
				set("dns_server_%d_port_%d=%d", s+1, i+1, addr.Port)
			}
		}
		for i, d := range server.ResolveDomains {
			set("dns_server_%d_resolve_domain_%d=%s", s+1, i+1, d)
		}
		for _, v := range []struct{ name, value string }{{"dnssec", server.DNSSEC}, {"transport", server.Transport}, {"sni", server.SNI}} {
			if v.value != "" {
				set("dns_server_%d_%s=%s", s+1, v.name, v.value)
			}
		}
	}
	return vars
}

// dnsUp tells the host, or the script, the resolvers. A tunnel works without, so errors are logged only.
func (t *Tunnel) dnsUp(ctx context.Context) {
	if len(t.net.dns.servers) == 0 {
		return // as stock: search domains alone are not worth it
	}
	t.dnsRan = true
	if t.net.dns.script != "" {
		t.runDNS(ctx, "up")
		return
	}
	r, err := t.net.dns.forHost(t.device.Name())
	var way string
	if err == nil {
		way, err = t.journal.SetResolvers(ctx, t.cfg.resolverHost(), r)
	}
	if err != nil {
		t.cfg.Log(logging.Warn, "WARNING: the resolvers of the tunnel are not in use: %v", err)
		t.hostDNSDown(ctx)
		return
	}
	t.cfg.Log(logging.Info, "Resolvers of %s set through %s", r.Dev, way)
}

// dnsDown takes back what dnsUp did.
func (t *Tunnel) dnsDown(ctx context.Context) {
	if !t.dnsRan {
		return
	}
	t.dnsRan = false
	if t.net.dns.script != "" {
		t.runDNS(ctx, "down")
		return
	}
	t.hostDNSDown(ctx)
}

func (t *Tunnel) hostDNSDown(ctx context.Context) {
	if err := t.journal.UndoResolvers(ctx, t.cfg.resolverHost()); err != nil {
		t.cfg.Log(logging.Warn, "WARNING: %v; the next start of a daemon with the privilege does it", err)
	}
}

// runDNS runs the script of dns-updown, whose variables are those of resolvers alone.
func (t *Tunnel) runDNS(ctx context.Context, way string) {
	env := hooks.NewEnv()
	env.Set("dev", t.device.Name())
	setVars(env, t.net.dns.vars())
	status := 0
	err := t.cfg.Hooks.Run(ctx, hooks.Call{Tag: "--dns-updown", Type: "dns-" + way, Command: t.net.dns.script, Env: env, Log: t.cfg.Log})
	if failed := (*hooks.Error)(nil); errors.As(err, &failed) && failed.Code >= 0 {
		status = failed.Code
	} else if err != nil {
		t.cfg.Log(logging.Warn, "%v", err)
		return
	}
	t.cfg.Log(logging.Info, "dns %s command exited with status %d", way, status)
}

// forHost are the resolvers for the host: the first server that it can use.
func (d *resolvers) forHost(dev string) (netconf.Resolvers, error) {
	for _, s := range d.servers {
		if s.Transport == "DoH" {
			continue
		}
		r := netconf.Resolvers{Dev: dev, SNI: s.SNI, Search: d.search, Domains: s.ResolveDomains, DNSSEC: s.DNSSEC, TLS: s.Transport == "DoT"}
		for _, a := range s.Addresses {
			r.Servers = append(r.Servers, netip.AddrPortFrom(a.Addr, uint16(a.Port)))
		}
		return r, nil
	}
	return netconf.Resolvers{}, errors.New("no server without DNS over HTTPS")
}

// resolverHost is the host to tell.
func (c *Config) resolverHost() *netconf.ResolverHost {
	if c.ResolverHost != nil {
		return c.ResolverHost
	}
	return new(netconf.ResolverHost)
}
