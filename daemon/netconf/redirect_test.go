package netconf

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text writes a plan in short: "+10.0.0.0/8 via 10.8.0.1 dev x metric 1", "-" for a deletion, "# note"; "L" marks the list.
func text(ops []Op) []string {
	var out []string
	for _, op := range ops {
		if op.Note != "" {
			out = append(out, "# "+op.Note)
			continue
		}
		s := "+"
		if op.Delete {
			s = "-"
		}
		if op.List {
			s = "L" + s
		}
		s += op.Route.Dst.String()
		if op.Route.Via.IsValid() {
			s += " via " + op.Route.Via.String()
		}
		if op.Route.Dev != "" {
			s += " dev " + op.Route.Dev
		}
		if op.Route.Metric != NoMetric {
			s += fmt.Sprintf(" metric %d", op.Route.Metric)
		}
		out = append(out, s)
	}
	return out
}

func TestPlanRedirect(t *testing.T) {
	addr := netip.MustParseAddr
	gw4 := Gateway{Addr: addr("10.99.0.1"), Prefix: netip.MustParsePrefix("10.99.0.2/24"), Dev: "eth0", Metric: 50}
	gw6 := Gateway{Addr: addr("fd99::1"), Prefix: netip.MustParsePrefix("fd99::2/64"), Dev: "eth0", Metric: NoMetric}
	const (
		host   = "+10.50.0.1/32 via 10.99.0.1"
		lower  = "+0.0.0.0/1 via 10.8.0.1"
		upper  = "+128.0.0.0/1 via 10.8.0.1"
		differ = "# ROUTE remote_host protocol differs from tunneled"
	)
	world := []string{"+::/3 dev tun0", "+2000::/4 dev tun0", "+3000::/4 dev tun0", "+fc00::/7 dev tun0"}
	block := func(between ...string) []string {
		out := append([]string{host, "# ROUTE: bypass_host_route[0]=10.99.0.1", "+10.99.0.1/32 via 10.99.0.1 dev eth0"}, between...)
		return append(out, "L+10.99.0.128/25 via 10.8.0.1", "L+10.99.0.0/25 via 10.8.0.1")
	}
	tests := []struct {
		name   string
		flags  Redirect
		server string // default 10.50.0.1
		change func(*RedirectInput)
		want   []string
	}{
		{name: "def1", flags: Redirect{Def1: true}, want: []string{host, lower, upper}},
		{name: "default route replaced", want: []string{host, "-0.0.0.0/0 via 10.99.0.1 metric 50", "+0.0.0.0/0 via 10.8.0.1"}},
		{name: "def1, server in the LAN", flags: Redirect{Def1: true}, server: "10.99.0.7", want: []string{"+10.99.0.7/32 via 10.99.0.1 dev eth0", lower, upper}},
		{name: "def1, server is the gateway", flags: Redirect{Def1: true}, server: "10.99.0.1", want: []string{"+10.99.0.1/32 via 10.99.0.1 dev eth0", lower, upper}},
		{name: "local", flags: Redirect{Def1: true, Local: true}, want: []string{lower, upper}},
		{name: "autolocal, not", flags: Redirect{Def1: true, AutoLocal: true}, want: []string{host, lower, upper}},
		{name: "autolocal, is", flags: Redirect{Def1: true, AutoLocal: true}, change: func(in *RedirectInput) { in.ServerOnLink = true }, want: []string{lower, upper}},
		{name: "private", flags: Redirect{Def1: true, Private: true}, want: []string{host}},
		{name: "block-local", flags: Redirect{Def1: true, BlockLocal: true}, want: block(lower, upper)},
		{name: "block-local, private", flags: Redirect{BlockLocal: true, Private: true}, want: block()},
		{name: "block-local, server in the LAN", flags: Redirect{Def1: true, BlockLocal: true}, server: "10.99.0.1", want: []string{"+10.99.0.1/32 via 10.99.0.1 dev eth0", lower, upper}},
		{name: "bypass flags do nothing", flags: Redirect{Def1: true, BypassDHCP: true, BypassDNS: true}, want: []string{host, lower, upper}},
		{name: "ipv6", flags: Redirect{Def1: true, IPv6: true}, want: append([]string{host, lower, upper}, world...)},
		{name: "only ipv6", flags: Redirect{Def1: true, IPv6: true, NoIPv4: true}, want: world},
		{name: "only !ipv4", flags: Redirect{Def1: true, NoIPv4: true}, want: nil},
		{name: "ipv6, private", flags: Redirect{IPv6: true, Private: true}, want: append([]string{host}, world...)},
		{
			name: "IPv6 server, covered", flags: Redirect{Def1: true, IPv6: true}, server: "fd50::1",
			want: append([]string{differ, lower, upper, "# ROUTE6: fc00::/7 overlaps IPv6 remote fd50::1, adding host route to VPN endpoint", "+fd50::1/128 via fd99::1 dev eth0 metric 1"}, world...),
		},
		{
			name: "IPv6 server on link", flags: Redirect{Def1: true, IPv6: true, NoIPv4: true}, server: "fd99::1",
			change: func(in *RedirectInput) { in.Gateway6.Addr, in.Gateway6.OnLink = netip.Addr{}, true },
			want:   append([]string{"# ROUTE6: fc00::/7 overlaps IPv6 remote fd99::1, adding host route to VPN endpoint", "+fd99::1/128 dev eth0 metric 1"}, world...),
		},
		{name: "IPv6 server, not covered", flags: Redirect{Def1: true}, server: "fd50::1", want: []string{differ, lower, upper}},
		{
			name: "IPv6 server in a route", flags: Redirect{NoIPv4: true}, server: "fd50::1",
			change: func(in *RedirectInput) {
				in.Flags.Enabled, in.Routes6 = false, []netip.Prefix{netip.MustParsePrefix("fd51::/16"), netip.MustParsePrefix("fd50::/16")}
			},
			want: []string{"# ROUTE6: fd50::/16 overlaps IPv6 remote fd50::1, adding host route to VPN endpoint", "+fd50::1/128 via fd99::1 dev eth0 metric 1"},
		},
		{name: "no default route", flags: Redirect{Def1: true}, change: func(in *RedirectInput) { in.Gateway4 = Gateway{} }, want: []string{"# NOTE: no default gateway: the route to the server is left as it is", lower, upper}},
		{name: "no default route to replace", change: func(in *RedirectInput) { in.Gateway4 = Gateway{} }, want: []string{"# NOTE: no default gateway: the route to the server is left as it is", "+0.0.0.0/0 via 10.8.0.1"}},
		{
			name: "default on link", change: func(in *RedirectInput) {
				in.Gateway4 = Gateway{Dev: "ppp0", OnLink: true, Metric: NoMetric, Prefix: netip.MustParsePrefix("10.99.0.2/32")}
			},
			flags: Redirect{BlockLocal: true},
			want:  []string{"+10.50.0.1/32 dev ppp0", "-0.0.0.0/0 dev ppp0", "+0.0.0.0/0 via 10.8.0.1"},
		},
		{name: "no VPN gateway", flags: Redirect{Def1: true}, change: func(in *RedirectInput) { in.VPN4 = netip.Addr{} }, want: []string{"# NOTE: unable to redirect IPv4 default gateway -- VPN gateway parameter (--route-gateway or --ifconfig) is missing"}},
		{name: "server unknown", flags: Redirect{Def1: true}, change: func(in *RedirectInput) { in.Server = netip.Addr{} }, want: []string{lower, upper}},
		{name: "not asked for", change: func(in *RedirectInput) { in.Flags.Enabled = false }, want: nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := RedirectInput{Flags: tt.flags, Server: addr("10.50.0.1"), Gateway4: gw4, Gateway6: gw6, VPN4: addr("10.8.0.1"), Dev: "tun0"}
			in.Flags.Enabled = true
			if tt.server != "" {
				in.Server = addr(tt.server)
			}
			if tt.change != nil {
				tt.change(&in)
			}
			if diff := cmp.Diff(tt.want, text(PlanRedirect(in))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHalves(t *testing.T) {
	for in, want := range map[string]string{
		"10.99.0.0/24": "10.99.0.0/25 10.99.0.128/25", "10.0.0.0/8": "10.0.0.0/9 10.128.0.0/9",
		"0.0.0.0/0": "0.0.0.0/1 128.0.0.0/1", "1.2.3.4/31": "1.2.3.4/32 1.2.3.5/32",
	} {
		a, b := halves(netip.MustParsePrefix(in))
		if got := a.String() + " " + b.String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestMasks(t *testing.T) {
	for bits, mask := range map[int]string{0: "0.0.0.0", 8: "255.0.0.0", 23: "255.255.254.0", 32: "255.255.255.255"} {
		if got := netmask(bits); got != mask {
			t.Errorf("%d: %s, want %s", bits, got, mask)
		}
	}
}
