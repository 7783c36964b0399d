//go:build linux

package arena

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// seconds is how long each direction is loaded.
const seconds = 3

// figures are what one turn of a contender gave, or medians of them.
type figures struct {
	up, down   float64 // iperf3 TCP to and from the server, Mbit/s
	idle, load float64 // median ping through the tunnel, alone and beside iperf3, ms
	cpu        float64 // both daemons' processor time for a gigabyte moved, seconds
}

// turn is a benchmark whose cleanups run when the turn is over: processes and namespaces are gone before the next one.
type turn struct {
	testing.TB
	cleanups []func()
}

func (t *turn) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *turn) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// measure lets a contender take its turn in fresh namespaces.
func measure(b testing.TB, c *contender) (f figures) {
	t := &turn{TB: b}
	defer t.end()
	var h hosts
	h.server, h.client = daemontest.NewPair(t)
	c.start(t, &h)
	pings(t, h.client, 10) // handshakes, neighbours, caches
	f.idle = median(pings(t, h.client, 60))
	before := cpuTime(t, h.daemons)
	up, upPings := iperf(t, &h)
	down, downPings := iperf(t, &h, "-R")
	f.cpu = (cpuTime(t, h.daemons) - before) / ((up + down) * seconds / 8 / 1000)
	f.up, f.down = up, down
	f.load = median(append(upPings, downPings...))
	return f
}

// iperf loads the tunnel and returns the rate in Mbit/s, and the times of pings meanwhile in ms.
func iperf(b testing.TB, h *hosts, args ...string) (float64, []float64) {
	b.Helper()
	s := h.server.Start(b, "iperf3", "-s", "-1", "--forceflush")
	s.WaitLine(b, "Server listening", 5*time.Second)
	defer s.Stop(b) // the next one wants its port
	loaded := make(chan []float64, 1)
	go func() { loaded <- pings(b, h.client, seconds*20) }()
	ctx, cancel := context.WithTimeout(context.Background(), (seconds+20)*time.Second)
	defer cancel()
	args = append([]string{"-J", "-c", serverIP, "-t", strconv.Itoa(seconds)}, args...)
	out, err := h.client.Command(ctx, "iperf3", args...).Output()
	var result struct {
		Error string `json:"error"`
		End   struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	times := <-loaded
	if e := json.Unmarshal(out, &result); err != nil || e != nil || result.Error != "" {
		b.Fatalf("iperf3: %v %v\n%s", err, e, out)
	}
	return result.End.Received.BitsPerSecond / 1e6, times
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// pings asks the server n times, 50 ms apart, and returns the round trips in ms.
func pings(b testing.TB, from *daemontest.Namespace, n int) []float64 {
	out, _ := from.TryRun("ping", "-n", "-i", "0.05", "-c", strconv.Itoa(n), "-W", "2", serverIP) // a lost one is no answer
	var times []float64
	for _, m := range pingTime.FindAllStringSubmatch(out, -1) {
		t, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.Error(err)
		}
		times = append(times, t)
	}
	if len(times) < n/2 {
		b.Errorf("%d of %d pings answered:\n%s", len(times), n, out)
	}
	return times
}

// cpuTime is what processes have used so far, in seconds.
func cpuTime(b testing.TB, ps []*daemontest.Process) (sum float64) {
	b.Helper()
	const ticks = 100 // USER_HZ of every Linux architecture Go runs on
	for _, p := range ps {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			b.Fatal(err)
		}
		// Behind the name in parentheses: state is field 3, user and system time are 14 and 15.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(f)
			if err != nil {
				b.Fatal(err)
			}
			sum += float64(n) / ticks
		}
	}
	return sum
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// medians are taken figure by figure.
func medians(turns []figures) figures {
	pick := func(f func(figures) float64) float64 {
		var v []float64
		for _, t := range turns {
			v = append(v, f(t))
		}
		return median(v)
	}
	return figures{
		up: pick(func(f figures) float64 { return f.up }), down: pick(func(f figures) float64 { return f.down }),
		idle: pick(func(f figures) float64 { return f.idle }), load: pick(func(f figures) float64 { return f.load }),
		cpu: pick(func(f figures) float64 { return f.cpu }),
	}
}
