//go:build linux

package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// A client sends only from addresses whose longest match leads to it. The first client has subnets that cover those of
// the second, and the addresses of the tunnel; what the server lets through is the same as with stock.
func TestServerDropsForeignSources(t *testing.T) {
	t.Parallel()
	sources := []struct {
		addr    string
		dropped bool
	}{
		{"10.8.0.2", false},     // its own
		{"10.8.0.3", true},      // the second client's, covered by an iroute
		{"10.8.0.77", false},    // nobody's, covered by an iroute
		{"192.168.4.1", false},  // its subnet
		{"192.168.5.1", true},   // the second client's subnet
		{"192.168.5.200", true}, // the same
		{"192.168.6.9", true},   // a single address behind the second client
		{"172.16.0.1", true},    // nobody's
		{"fd08::1000", false},
		{"fd08::1001", true},
		{"fd08::77", false},
		{"fd50::1", false},
		{"fd50:5::1", true},
		{"fd50:6::9", true},
		{"fd99:1::1", true},
	}
	for _, mode := range [][]string{nil, {"--client-to-client"}} {
		for name, start := range programs {
			t.Run(strings.Join(append([]string{name}, mode...), " "), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
					t.Fatal(err)
				}
				l.write(t, "ccd/client1", []byte("iroute 192.168.0.0 255.255.0.0\niroute 10.8.0.0 255.255.0.0\niroute-ipv6 fd50::/16\niroute-ipv6 fd08::/64\n"))
				l.write(t, "ccd/client2", []byte("iroute 192.168.5.0 255.255.255.0\niroute 192.168.6.9\niroute-ipv6 fd50:5::/48\niroute-ipv6 fd50:6::9/128\n"))
				s := start(t, l.server, l.serverArgs(append([]string{"--server-ipv6", "fd08::/64", "--client-config-dir", l.file("ccd"), "--verb", "4"}, mode...)...))
				s.WaitLine(t, up, upLimit)
				l.stockClient(t)
				second, server := l.host(t)
				l.issue(t, "second", pki.Spec{Name: "client2"})
				l.stockClientOn(t, second, server, "--cert", "second.crt", "--key", "second.key")

				var send []string
				for _, src := range sources {
					target, length := "10.8.0.1", 32
					if strings.Contains(src.addr, ":") {
						target, length = "fd08::1", 128
					}
					if _, err := l.client.TryRun("ip", "addr", "add", fmt.Sprintf("%s/%d", src.addr, length), "dev", "lo", "nodad"); err != nil {
						t.Fatal(err)
					}
					send = append(send, fmt.Sprintf("ping -n -c 2 -i 0.2 -W 1 -I %s %s &", src.addr, target))
				}
				_, _ = l.client.TryRun("sh", "-c", strings.Join(append(send, "wait"), "\n"))
				const line = "MULTI: bad source address from client ["
				want := []string{}
				for _, src := range sources {
					if src.dropped {
						want = append(want, src.addr)
						s.WaitLine(t, line+src.addr+"]", upLimit)
					}
				}
				got := []string{}
				for text := range strings.SplitSeq(s.Log(), "\n") {
					if _, after, ok := strings.Cut(text, line); ok && !strings.HasPrefix(after, "fe80:") {
						addr, _, _ := strings.Cut(after, "]")
						if !slices.Contains(got, addr) {
							got = append(got, addr)
						}
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("dropped sources (-want +got):\n%s", diff)
				}
			})
		}
	}
}
