package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

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

// planDNS takes the resolvers from the options, and tells of those that cannot be reached through the tunnel.
//
// Rule: docs/protocol.md#810-dns-updown.
func (t *Tunnel) planDNS() {
	o := t.cfg.Options
	servers, search := o.Resolvers()
	if o.Compat.WarnsOfResolvers() {
		t.warnResolvers(servers)
	}
	if !o.UpdatesDNS() {
		return
	}
	d := &t.net.dns
	d.servers, d.search = servers, search
	if d.host = o.DNSUpdown == "" || o.DNSUpdown == "force"; !d.host {
		d.script = o.DNSUpdown
	}
}

func (t *Tunnel) warnResolvers(servers []config.DNSServer) {
	for _, s := range servers {
		lost := 0
		for _, a := range s.Addresses {
			if a.Addr.Is4() && !t.net.local4.IsValid() || a.Addr.Is6() && !t.net.local6.IsValid() {
				lost++
			}
		}
		switch lost {
		case 0:
		case len(s.Addresses):
			t.cfg.Log(logging.Warn, "DNS server %d only has address(es) from a family the tunnel is not configured for - it will not be reachable", s.Priority)
		default:
			t.cfg.Log(logging.Warn, "DNS server %d has address(es) from a family the tunnel is not configured for", s.Priority)
		}
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
	call := hooks.Call{Tag: "dns updown", Type: "dns-" + way, Command: t.net.dns.script, Env: env, Log: t.cfg.Log}
	t.cfg.Log(logging.Info, "%s", call.Line())
	status := 0
	if failed := (*hooks.Error)(nil); errors.As(t.cfg.Hooks.Run(ctx, call), &failed) {
		if status = failed.Code; status < 0 {
			t.cfg.Log(logging.Warn, "%v", failed)
		}
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
