//go:build linux

package test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// stockInFakeTime starts the stock daemon under libfaketime with a setting of its environment. Its monotonic clock is the right one.
func stockInFakeTime(t testing.TB, n *daemontest.Namespace, setting string, args []string) *daemontest.Process {
	t.Helper()
	list, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(list) == 0 {
		t.Fatal("no libfaketime: install the package faketime (test/install-deps.sh)")
	}
	return n.Start(t, "env", append([]string{"LD_PRELOAD=" + list[0], setting, "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1", daemontest.RequireOpenVPN(t)}, args...)...)
}

// The clock of a server's host is set while a stock client is there. Our server goes on; stock's, whose timers are of the wall clock, drops
// all clients when the clock is set ahead.
func TestServerWhoseClockIsSet(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		for _, who := range []string{"stock", "ours"} {
			t.Run(fmt.Sprintf("%v/%s", step, who), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				args := l.serverArgs("--keepalive", "1", "6")
				var s *daemontest.Process
				var set func(by time.Duration)
				if who == "ours" {
					c := clock.NewSystem(t)
					s = oursAt(t, l.server, c, args)
					set = func(by time.Duration) { c.Set(t, by) }
				} else {
					file := l.write(t, "faketime", []byte("+0"))
					s = stockInFakeTime(t, l.server, "FAKETIME_TIMESTAMP_FILE="+file, args)
					set = func(by time.Duration) { l.write(t, "faketime", fmt.Appendf(nil, "%+d", int(by.Seconds()))) }
				}
				s.WaitLine(t, up, upLimit)
				c := stock(t, l.client, l.clientArgs("--nobind"))
				c.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
				dropped := func() bool { return strings.Contains(s.Log(), "SIGUSR1") || strings.Contains(c.Log(), "SIGUSR1") }
				set(step)
				time.Sleep(8 * time.Second) // longer than ping-restart
				want := who == "stock" && step > 0
				for by := 2 * step; want && !dropped() && by < 10*step; by += step { // stock misses a step that meets a packet of the client
					set(by)
					time.Sleep(2 * time.Second)
				}
				if dropped := dropped(); dropped != want {
					t.Errorf("the session ended: %v, want %v\n%s", dropped, want, c.Log())
				}
			})
		}
	}
}
