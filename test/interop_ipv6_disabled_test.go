//go:build linux

package test

import (
	"testing"
)

// A host without IPv6, as many containers are, gets the tunnel's IPv4 half and a word about the other.
func TestIPv6DisabledOnTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.client.Run(t, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	l.stockServer(t, "--server-ipv6", "fd08::/64", "--push", "route-ipv6 fd77::/48")
	c := ours(t, l.client, l.clientArgs("--nobind"))
	c.WaitLine(t, "WARNING: IPv6 is disabled on this host: tun0 goes on with IPv4 alone.", upLimit)
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}
