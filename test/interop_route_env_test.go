//go:build linux

package test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The variables of the routes are those of the routes that are set: platforms whose scripts set them themselves lose what is not told.
func TestRouteVariablesLikeStock(t *testing.T) {
	t.Parallel()
	for name, push := range map[string][]string{
		"redirect, both families":   {"redirect-gateway def1 ipv6", "route-ipv6 fd77::/48"},
		"redirect, IPv6 only":       {"redirect-gateway ipv6 !ipv4"},
		"redirect, no def1":         {"redirect-gateway ipv6", "route 172.16.0.0 255.240.0.0"},
		"redirect-private":          {"redirect-private def1 ipv6", "route-ipv6 fd77::/48"},
		"IPv6 routes with a metric": {"route-ipv6 fd77::/48 fd08::1 7", "route-metric 5", "redirect-gateway ipv6"},
		"IPv4 with a metric":        {"route-metric 5", "redirect-gateway def1", "route 172.16.0.0 255.240.0.0"},
		"block-local":               {"redirect-gateway def1 block-local"},
	} {
		for mode, extra := range map[string][]string{"set": nil, "left to scripts": {"--route-noexec"}} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				routeVariables(t, push, extra)
			})
		}
	}
}

func routeVariables(t *testing.T, push, extra []string) {
	seen := func(start starter) []string {
		l := newLab(t)
		hook := l.script(t, "hook.sh", `env | grep -E '^(route_|redirect_|net_gateway)' >"`+l.dir+`/$script_type"`)
		args := []string{"--server-ipv6", "fd08::/64"}
		for _, p := range push {
			args = append(args, "--push", p)
		}
		stock(t, l.server, l.serverArgs(args...)).WaitLine(t, up, upLimit)
		c := start(t, l.client, l.clientArgs(append(extra, "--nobind", "--script-security", "2", "--up", hook, "--route-up", hook)...))
		c.WaitLine(t, up, upLimit)
		var all []string
		for _, script := range []string{"up", "route-up"} {
			b, err := os.ReadFile(l.file(script))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			slices.Sort(lines)
			all = append(append(all, script), lines...)
		}
		for _, family := range []string{"-4", "-6"} {
			routes, err := l.client.Command(t.Context(), "ip", family, "route", "show", "dev", "tun0").Output()
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(routes)) {
				if !strings.HasPrefix(line, "fe80:") {
					all = append(all, strings.TrimSpace(line))
				}
			}
		}
		return all
	}
	if diff := cmp.Diff(seen(stock), seen(oursReleased)); diff != "" {
		t.Errorf("(-stock +ours):\n%s", diff)
	}
}
