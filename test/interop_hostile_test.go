//go:build linux

package test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script/sandbox/hostile"
)

// A dozen hostile scripts, one after the other, inside a server with traffic; the soak runs all of them, and holds them to the
// figures of a quiet machine.
func TestHostileScripts(t *testing.T) {
	t.Parallel()
	hostileScripts(t, []string{
		"loop", "pcall loop", "xpcall handler", "string doubling", "string growth", "table growth", "closure growth", "coroutine growth",
		"backtracking", "pcall nesting", "index recursion", "sends by timers", "timers by timers",
	}, 300*time.Millisecond, 5*time.Second)
}

// hostileScripts runs scripts in a server while a client pings and another script's timer ticks. gap bounds how late that timer may
// be, and stop how long after its beginning a script that takes processor time is ended.
func hostileScripts(t *testing.T, names []string, gap, stop time.Duration) {
	t.Helper()
	all := maps.Clone(hostile.Scripts)
	maps.Copy(all, hostile.Floods)
	l := newLab(t)
	l.revocations(t)
	ticker := l.write(t, "ticker.lua", []byte(`
		local last, worst = now(), 0
		every(0.01, function() local t = now() worst = math.max(worst, t - last - 0.01) last = t end)
		every(0.1, function() print(("worst %d ms"):format(worst * 1000)) end)`))
	path := l.write(t, "hostile.lua", []byte("every(60, function() end)"))
	p := oursReleased(t, l.server, []string{"--config", l.configure(t, "script "+ticker, "script "+path+" timeout 1 allow exec,http,env,secret,store,write="+l.dir)})
	p.WaitLine(t, up, upLimit)
	lab := &reloadLab{l, p, manage(t, l.file("server.sock"))}
	c := l.stockClient(t)
	idle := 0
	for _, pid := range children(t, p) {
		n, _ := strconv.Atoi(strings.TrimSuffix(field(pid, "VmRSS"), " kB"))
		idle = max(idle, n)
	}
	trips := make(chan []time.Duration)
	done := make(chan struct{})
	go func() {
		var all []time.Duration
		for {
			select {
			case <-done:
				trips <- all
				return
			default:
				all = append(all, roundTrips(t, l.client, "10.8.0.1", 50)...)
			}
		}
	}()
	for _, name := range names {
		src, ok := all[name]
		if !ok {
			t.Fatalf("no script %q", name)
		}
		_, flood := hostile.Floods[name]
		// What a flood before began ends with its handlers' time: each script is measured alone.
		for deadline := time.Now().Add(upLimit); len(children(t, p)) > 2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("before %s: older versions do not end: %v", name, children(t, p))
			}
		}
		from := p.Lines()
		l.write(t, "hostile.lua", []byte(fmt.Sprintf("-- %s\nmoongate.after(0.05, function() print('begins') %s\nend)\nevery(60, function() end)", name, src)))
		waitFor(t, "the reload", func() bool { // the script before may reload, too
			_, err := lab.port.Cmd(t.Context(), "reload")
			if err != nil && !strings.Contains(err.Error(), "another reload") {
				t.Fatal(err)
			}
			return err == nil
		})
		p.WaitLineAfter(t, from, "begins", upLimit)
		begin := time.Now()
		if flood {
			time.Sleep(300 * time.Millisecond)
		} else {
			p.WaitLineAfter(t, from, "event=timer", upLimit)
			if d := time.Since(begin); d > stop {
				t.Errorf("%s: ended after %v", name, d)
			}
		}
		for _, pid := range children(t, p) {
			if peak, _ := strconv.Atoi(strings.TrimSuffix(field(pid, "VmHWM"), " kB")); peak-idle > (64+16)<<10 {
				t.Errorf("%s: took %d MiB above the %d MiB of an idle script", name, (peak-idle)>>10, idle>>10)
			}
		}
	}
	close(done)
	sorted := slices.Sorted(slices.Values(<-trips))
	t.Logf("%d round trips, 99 %% under %v, the worst %v", len(sorted), percentile(sorted, 0.99), sorted[len(sorted)-1])
	worst := 0
	for line := range strings.Lines(p.Log()) {
		if _, rest, ok := strings.Cut(line, "ticker.lua: worst "); ok {
			worst, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	if t.Logf("another script's timer was %d ms late at most", worst); time.Duration(worst)*time.Millisecond > gap {
		t.Errorf("another script's timer was %d ms late", worst)
	}
	list, err := lab.port.Scripts(t.Context())
	if err != nil || len(list) != 2 || list[0].State != mgmt.ScriptRunning {
		t.Errorf("scripts %+v, %v", list, err)
	}
	c.Stop(t)
	terminate(t, p)
}
