//go:build linux

package test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// What a ccd file says of one family leaves the other family to the pool. Stock gives every client with a fixed IPv4 address alone the
// same IPv6 address; with ours each keeps its own slot.
func TestServerFixedAddressOfOneFamily(t *testing.T) {
	t.Parallel()
	const four, six = "ifconfig-push 10.8.0.77 255.255.255.0\n", "ifconfig-ipv6-push fd08::77/64\n"
	address := regexp.MustCompile(`ifconfig(-ipv6)? [^,']*`)
	pushed := func(t *testing.T, start starter, ccd string) (first, second []string) {
		l := newLab(t)
		l.issue(t, "other", pki.Spec{Name: "other"})
		if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
			t.Fatal(err)
		}
		l.write(t, "ccd/client1", []byte(ccd))
		l.write(t, "ccd/other", []byte(strings.ReplaceAll(ccd, "77", "78")))
		s := start(t, l.server, l.serverArgs("--server-ipv6", "fd08::/64", "--client-config-dir", l.file("ccd")))
		s.WaitLine(t, up, upLimit)
		one := func(extra ...string) []string {
			c := stock(t, l.client, append(l.clientArgs("--nobind", "--route-noexec", "--ifconfig-noexec"), extra...))
			line := c.WaitLine(t, "PUSH_REPLY", upLimit)
			return address.FindAllString(line, -1)
		}
		return one(), one("--cert", l.file("other.crt"), "--key", l.file("other.key"))
	}
	for name, ccd := range map[string]string{"IPv4 only": four, "IPv6 only": six, "both": four + six, "none": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, _ := pushed(t, stock, ccd)
			mine, second := pushed(t, ours, ccd)
			if diff := cmp.Diff(theirs, mine); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
			for k := range mine {
				if len(second) <= k || second[k] == mine[k] {
					t.Errorf("the second client was given %q, the first %q", second, mine)
				}
			}
		})
	}
}
