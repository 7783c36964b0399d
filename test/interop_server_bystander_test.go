//go:build linux

package test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
)

// roundTrips pings every 10 ms and returns the round trips in order of size; a lost packet fails the test.
func roundTrips(t *testing.T, from *daemontest.Namespace, target string, count int) []time.Duration {
	t.Helper()
	missing, out := unanswered(from, target, count, "0.01")
	var all []time.Duration
	for _, m := range regexp.MustCompile(`time=([0-9.]+) ms`).FindAllStringSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, time.Duration(ms*float64(time.Millisecond)))
	}
	if missing > 0 {
		t.Errorf("%d of %d pings were not answered", missing, count)
	}
	if len(all) == 0 {
		t.Fatal(out)
	}
	slices.Sort(all)
	return all
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(int(float64(len(sorted))*p), len(sorted)-1)]
}

// Scripts that sleep, scripts that hang, a management client that never answers: who is connected notices nothing, and
// those who wait are told in the end. Other tests run meanwhile, and what may be added is theirs: a server that waited for a hook would add seconds.
func TestServerHooksHoldNobodyUp(t *testing.T) {
	t.Parallel()
	hooksHoldNobodyUp(t, 500*time.Millisecond)
}

// hooksHoldNobodyUp lets hooks wait and fails the test when 99 % of a bystander's round trips take more than added longer
// than when nothing happens.
func hooksHoldNobodyUp(t *testing.T, added time.Duration) {
	t.Helper()
	l := newLab(t)
	verify := l.script(t, "verify.sh", `{ read u; read p; } <"$1"; case $u in hang) exec sleep 60;; esac; exit 0`)
	connect := l.script(t, "connect.sh", `case $common_name in slow) sleep 5;; stuck) exec sleep 60;; esac; exit 0`)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, "--script-security", "2", "--auth-user-pass-verify", verify, "via-file", "--client-connect", connect, "--username-as-common-name",
		"--management", sock, "unix", "--management-client-auth", "--hand-window", "7")
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindClient)
	go func() { // admits all but one
		for {
			n, err := sub.Next(t.Context())
			if err != nil {
				return
			}
			f := strings.Split(n.Text, ",")
			if f[0] == "CONNECT" && !slices.Contains(n.Env, "username=ignored") {
				_, _ = m.Do(t.Context(), "client-auth-nt", f[1], f[2])
			}
		}
	}()
	as := func(name string) (*daemontest.Process, *daemontest.Namespace) {
		n, server := l.host(t)
		login := l.write(t, "login."+name, []byte(name+"\npass\n"))
		return stock(t, n, l.clientArgs("--remote", server, "1194", "--auth-user-pass", login)), n
	}
	c, quick := as("quick")
	c.WaitLine(t, up, upLimit)
	idle := percentile(roundTrips(t, quick, "10.8.0.1", 300), 0.99)
	hang, _ := as("hang")
	ignored, _ := as("ignored")
	slow, _ := as("slow")
	busy := percentile(roundTrips(t, quick, "10.8.0.1", 800), 0.99)
	t.Logf("99%% of the round trips: %v idle, %v beside hooks that wait", idle, busy)
	if busy > idle+added {
		t.Errorf("99%% of the round trips within %v, %v when nothing happens", busy, idle)
	}
	slow.WaitLine(t, up, upLimit)
	for _, p := range []*daemontest.Process{hang, ignored} {
		p.WaitLine(t, "AUTH_FAILED", upLimit)
	}
	terminate(t, s)
}
