package reach

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

func routes(t *testing.T, n *daemontest.Namespace) string {
	t.Helper()
	return n.Run(t, "ip", "route", "show", "proto", "109") + n.Run(t, "ip", "-6", "route", "show", "proto", "109")
}

// Routes of ours come and go with clients, beside those of others; what a killed process left goes at the next start.
func TestKernel(t *testing.T) {
	t.Parallel()
	daemontest.RequireRoot(t)
	n := daemontest.NewNamespace(t)
	n.Run(t, "ip", "link", "add", "tun9", "type", "veth", "peer", "name", "peer9")
	n.Run(t, "ip", "link", "set", "peer9", "up")
	n.Run(t, "ip", "link", "set", "tun9", "up")
	n.Run(t, "ip", "route", "add", "10.8.0.2/32", "dev", "tun9", "proto", "static")
	n.Run(t, "ip", "route", "add", "10.8.0.99/32", "dev", "tun9", "proto", "109", "metric", "109")
	n.Run(t, "ip", "-6", "route", "add", "fd00::99/128", "dev", "tun9", "proto", "109", "metric", "109")
	n.Do(t, func() error {
		if _, err := OpenKernel("tun8", nil); err == nil {
			t.Error("a device that does not exist was opened")
		}
		k, err := OpenKernel("tun9", daemontest.LogTo(t, 3))
		if err != nil {
			return err
		}
		if left := routes(t, n); strings.Contains(left, "99") {
			t.Errorf("old routes stay: %s", left)
		}
		for _, p := range []string{"10.8.0.2/32", "192.168.5.0/24", "fd00::2/128", "10.8.0.3/32"} {
			k.Here(netip.MustParsePrefix(p))
		}
		k.Gone(netip.MustParsePrefix("10.8.0.3/32"))
		daemontest.Await(t, "the routes of three prefixes", func() bool {
			is := routes(t, n)
			return strings.Contains(is, "10.8.0.2 ") && strings.Contains(is, "192.168.5.0/24") && strings.Contains(is, "fd00::2 ") && !strings.Contains(is, "10.8.0.3 ")
		})
		k.Close()
		return nil
	})
	if left := routes(t, n); left != "" {
		t.Errorf("routes stay: %s", left)
	}
	if out := n.Run(t, "ip", "route", "show", "proto", "static"); !strings.Contains(out, "10.8.0.2 ") {
		t.Error("the route of another is gone")
	}
}

// Hosts of a network learn where an address is, of both families, when it comes to a node; a node that has it no more does not answer.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	daemontest.RequireRoot(t)
	node, host := daemontest.NewNamespace(t), daemontest.NewNamespace(t)
	daemontest.Veth(t, node, "eth0", []string{"192.0.2.1/24", "fd00::1/64"}, host, "eth0", []string{"192.0.2.2/24", "fd00::2/64"})
	mac := node.LinkFile(t, "eth0", "address")
	addresses := []string{"192.0.2.77", "fd00::77"}
	for _, a := range addresses { // it was elsewhere before
		host.Run(t, "ip", "neigh", "add", a, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
	}
	node.Do(t, func() error {
		if _, err := OpenNeighbours([]string{"lo"}, netip.Addr{}, nil); err == nil {
			t.Error("neighbours were opened at a device without any")
		}
		n, err := OpenNeighbours(nil, netip.MustParseAddr(addresses[0]), daemontest.LogTo(t, 3))
		if err != nil {
			return err
		}
		for _, a := range addresses {
			p := netip.MustParseAddr(a)
			n.Here(netip.PrefixFrom(p, p.BitLen()))
			daemontest.Await(t, a+" is here", func() bool { return strings.Contains(host.Run(t, "ip", "neigh", "show", a), mac) })
		}
		n.Here(netip.MustParsePrefix("192.168.5.0/24")) // nobody's neighbour
		proxies := func() string {
			return node.Run(t, "ip", "neigh", "show", "proxy") // of both families
		}
		if is := proxies(); strings.Count(is, "\n") != 2 || strings.Contains(is, "192.168") {
			t.Errorf("the node answers for %s", is)
		}
		n.Gone(netip.MustParsePrefix("192.0.2.77/32"))
		daemontest.Await(t, "no answer for an address that has gone", func() bool { return !strings.Contains(proxies(), "192.0.2.77") })
		n.Close()
		if is := proxies(); is != "" {
			t.Errorf("the node still answers for %s", is)
		}
		return nil
	})
	if is := strings.TrimSpace(node.Run(t, "cat", "/proc/sys/net/ipv6/conf/eth0/proxy_ndp")); is != "0" {
		t.Errorf("proxy_ndp stays %s", is)
	}
}
