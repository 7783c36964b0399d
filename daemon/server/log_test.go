package server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Lines about one network, however many it causes, leave room for those about others; all together are bounded.
func TestLinesAreShared(t *testing.T) {
	for _, tt := range []struct {
		name  string
		noise func(n int) string // who causes the many lines
		heard bool               // the lines about another network
	}{
		{"one address", func(int) string { return "192.0.2.1" }, true},
		{"one network", func(n int) string { return fmt.Sprintf("192.0.2.%d", n%256) }, true},
		{"one IPv6 network", func(n int) string { return fmt.Sprintf("2001:db8:1:%x::1", n) }, true},
		{"all networks", func(n int) string { return fmt.Sprintf("10.%d.%d.1", n/250, n%250) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := new(daemontest.Log)
				a := &aside{base: &base{deps: Deps{Log: logging.New(logging.Config{Stdout: text, Stderr: text, Verb: 4})}}, limiter: newLimiter()}
				const seconds, each = 60, 200
				for s := range seconds {
					for n := range each {
						a.limitedLog(netip.MustParseAddr(tt.noise(s*each+n)), "", logging.Info, "noise")
					}
					if s%6 == 5 {
						a.limitedLog(netip.MustParseAddr("203.0.113.9"), "", logging.Info, "a client with the wrong key")
					}
					time.Sleep(time.Second)
				}
				lines := text.String()
				if n := strings.Count(lines, "a client with the wrong key"); tt.heard && n != seconds/6 {
					t.Errorf("%d of %d lines about a client are there", n, seconds/6)
				}
				if n := strings.Count(lines, "\n"); n > strangeLines+seconds {
					t.Errorf("%d lines in %d seconds", n, seconds)
				}
				if a.limiter.lost.Load() == 0 {
					t.Error("no line was left out")
				}
			})
		})
	}
}
