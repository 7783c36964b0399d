//go:build linux && soak

package test

import (
	"regexp"
	"testing"
	"time"
)

// mtu-test takes three minutes: both ends measure the path, and say the same about it whoever they are. The path carries no more
// than 1200 bytes from the client.
func TestSoakMTU(t *testing.T) {
	result := regexp.MustCompile(`completed \[Tried,Actual\] local->remote=\[\d+,\d+\] remote->local=\[\d+,\d+\]`)
	for _, tt := range []struct {
		name           string
		server, client starter
		narrow         bool
	}{
		{"our client", stock, ours, false},
		{"our server", ours, stock, false},
		{"narrow", stock, ours, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			sent, got := "1524", "1524"
			more := []string{"--mtu-test", "--data-ciphers", "AES-256-GCM"}
			if tt.narrow {
				l.client.Run(t, "ip", "link", "set", "eth0", "mtu", "1300")
				more = append(more, "--mtu-disc", "yes")
				got = `\d\d\d?`
			}
			s := tt.server(t, l.server, l.serverArgs(more...))
			s.WaitLine(t, up, upLimit)
			c := tt.client(t, l.client, l.clientArgs(more...))
			c.WaitLine(t, up, upLimit)
			const begins = "NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes."
			for role, p := range map[string]interface {
				WaitLine(testing.TB, string, time.Duration) string
			}{"server": s, "client": c} {
				p.WaitLine(t, begins, upLimit)
				line := p.WaitLine(t, "Empirical MTU test completed", 5*time.Minute)
				want := `local->remote=\[` + sent + "," + got + `\] remote->local=\[1524,1524\]`
				if role == "server" {
					want = `local->remote=\[1524,1524\] remote->local=\[` + sent + "," + got + `\]`
				}
				if tt.narrow {
					want = "." // what is sent of a packet that does not fit depends on the kernel's cache
				}
				if !result.MatchString(line) || !regexp.MustCompile(want).MatchString(line) {
					t.Errorf("%s: %s", role, line)
				}
				t.Logf("%s: %s", role, line)
				if tt.narrow {
					p.WaitLine(t, "unable to accommodate a UDP packet size of", upLimit)
				}
			}
		})
	}
}
