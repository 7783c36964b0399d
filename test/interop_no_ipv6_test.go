//go:build linux

package test

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// offEverywhere is a host without IPv6, as most containers are; offForNew one where only devices to come have none.
var (
	offEverywhere = []string{"net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"}
	offForNew     = []string{"net.ipv6.conf.default.disable_ipv6=1"}
)

// A server may push IPv6 to a host that has it switched off. Stock ends with a line that does not say so. Ours goes on with IPv4,
// and scripts are told of IPv4 only; where IPv6 would go beside the tunnel it ends as well, and says why.
func TestClientWithIPv6Disabled(t *testing.T) {
	t.Parallel()
	const (
		goesOn  = "IPv6 is disabled on this host (sysctl net.ipv6.conf.tun0.disable_ipv6) and tun0 can have no IPv6 address: the tunnel goes on with IPv4 alone"
		ends    = "would go beside the tunnel, through eth0"
		nothing = ""
	)
	for name, tt := range map[string]struct {
		off    []string
		server []string
		client []string
		world6 bool // the client's host reaches the world over IPv6
		want   string
	}{
		"address":                      {off: offEverywhere, want: goesOn},
		"routes":                       {off: offEverywhere, server: []string{"--push", "route-ipv6 fd77::/48"}, want: goesOn},
		"redirect-gateway":             {off: offEverywhere, server: []string{"--push", "redirect-gateway def1 ipv6"}, want: goesOn},
		"address, for new devices":     {off: offForNew, world6: true, want: goesOn},
		"routes beside the tunnel":     {off: offForNew, world6: true, server: []string{"--push", "route-ipv6 fd77::/48"}, want: ends},
		"redirect beside the tunnel":   {off: offForNew, world6: true, server: []string{"--push", "redirect-gateway def1 ipv6"}, want: ends},
		"left to scripts":              {off: offEverywhere, client: []string{"--ifconfig-noexec", "--route-noexec"}, want: nothing},
		"refused by the configuration": {off: offEverywhere, client: []string{"--pull-filter", "ignore", "ifconfig-ipv6"}, want: nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for program, start := range compared {
				l := newLab(t)
				l.client.Run(t, append([]string{"sysctl", "-qw"}, tt.off...)...)
				if tt.world6 {
					l.client.Run(t, "ip", "-6", "route", "add", "default", "via", "fd99::1")
				}
				l.stockServer(t, append([]string{"--server-ipv6", "fd08::/64", "--push", "route 172.16.0.0 255.240.0.0"}, tt.server...)...)
				hook := l.script(t, "hook.sh", `env | grep -E '^(ifconfig_|route_)' >"`+l.dir+`/$script_type"`)
				c := start(t, l.client, l.clientArgs(append(tt.client, "--nobind", "--script-security", "2", "--up", hook, "--route-up", hook)...))
				switch {
				case tt.want == nothing:
					c.WaitLine(t, up, upLimit)
					if strings.Contains(c.Log(), "IPv6 is disabled") {
						t.Errorf("%s speaks of IPv6:\n%s", program, c.Log())
					}
					continue
				case program == "stock":
					c.WaitLine(t, "Linux can't add IPv6 to interface", upLimit)
					c.Wait(t, upLimit)
					continue
				}
				c.WaitLine(t, tt.want, upLimit)
				if tt.want == ends {
					c.Wait(t, upLimit)
					continue
				}
				c.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.2")
				fourOnly(t, l)
				from := c.Lines()
				c.Signal(t, syscall.SIGUSR1)
				c.WaitLineAfter(t, from, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.2")
				if strings.Contains(c.Log(), "with error") || strings.Contains(c.Log(), "ERROR") {
					t.Errorf("errors are logged:\n%s", c.Log())
				}
			}
		})
	}
}

// fourOnly fails when scripts were told of anything but IPv4.
func fourOnly(t *testing.T, l *lab) {
	t.Helper()
	for _, script := range []string{"up", "route-up"} {
		told, err := os.ReadFile(l.file(script))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(told), "ipv6") || !strings.Contains(string(told), "ifconfig_local=10.8.0.2") ||
			!strings.Contains(string(told), "route_network_1=172.16.0.0") {
			t.Errorf("%s is told\n%s", script, told)
		}
	}
}

// A server with server-ipv6 on such a host serves IPv4.
func TestServerWithIPv6Disabled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.server.Run(t, append([]string{"sysctl", "-qw"}, offEverywhere...)...)
	s := ours(t, l.server, l.serverArgs("--server-ipv6", "fd08::/64", "--route-ipv6", "fd70::/48"))
	s.WaitLine(t, "the tunnel goes on with IPv4 alone. To have IPv6, enable it; to be rid of this warning, remove server-ipv6", upLimit)
	s.WaitLine(t, up, upLimit)
	c := stock(t, l.client, l.clientArgs("--nobind"))
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.2")
}
