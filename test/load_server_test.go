package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// What a crowd costs a server, our server beside the stock one: processor time of a handshake, memory of a client.
// The short run is forty clients; with MOONGATE_SOAK it is three hundred, and the figures have to hold.
func TestServerUnderLoad(t *testing.T) {
	l := newLab(t)
	clients, soak := 40, os.Getenv("MOONGATE_SOAK") != ""
	if soak {
		clients = 300
	}
	args := l.serverArgs("--tls-crypt", l.file("ta.key"), "--duplicate-cn", "--topology", "subnet", "--connect-freq-initial", "10000", "10", "--verb", "1")
	load := func(start func(*testing.T, *daemontest.Namespace, []string) *daemontest.Process) cost {
		s := start(t, l.server, args)
		s.WaitLine(t, up, upLimit)
		c := l.crowd(t, s, clients)
		terminate(t, s)
		return c
	}
	theirs := load(stock)
	own := load(ours)
	t.Logf("%d clients: ours %v, stock %v", clients, own, theirs)
	if soak {
		if own.handshake > 1300*time.Microsecond {
			t.Errorf("a handshake costs %v, want at most 1.3ms", own.handshake)
		}
		if own.memory > 80<<10 {
			t.Errorf("a client costs %d bytes of memory, want at most 80 KiB", own.memory)
		}
	}
}

// cost is what one client costs.
type cost struct {
	handshake time.Duration // processor time
	memory    int           // resident bytes
	all       time.Duration // until the last client was up
}

func (c cost) String() string {
	return fmt.Sprintf("%v a handshake, %d KiB a client, all up after %v", c.handshake.Round(10*time.Microsecond), c.memory>>10, c.all.Round(10*time.Millisecond))
}

// crowd connects stock clients without devices and measures what that costs the server.
func (l *lab) crowd(t *testing.T, server *daemontest.Process, clients int) cost {
	t.Helper()
	cpu, rss := used(t, server.PID())
	start := time.Now()
	var all []*daemontest.Process
	for range clients {
		all = append(all, stock(t, l.client, l.clientArgs("--tls-crypt", l.file("ta.key"), "--dev", "null", "--ifconfig-noexec", "--route-noexec", "--verb", "1", "--explicit-exit-notify", "1")))
	}
	for _, c := range all {
		c.WaitLine(t, up, time.Minute)
	}
	took := time.Since(start)
	cpuAfter, _ := used(t, server.PID())
	time.Sleep(2 * time.Second) // what the handshakes left behind goes
	_, rssAfter := used(t, server.PID())
	for _, c := range all {
		c.Signal(t, 15)
	}
	for _, c := range all {
		c.Wait(t, 20*time.Second)
	}
	return cost{handshake: (cpuAfter - cpu) / time.Duration(clients), memory: (rssAfter - rss) / clients, all: took}
}

// used is the processor time and the resident memory of a process so far.
func used(t *testing.T, pid int) (cpu time.Duration, rss int) {
	t.Helper()
	stat := fileText(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 22 {
		t.Fatalf("process %d: %q", pid, stat)
	}
	var ticks int
	for _, s := range f[11:13] { // utime, stime
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	pages, err := strconv.Atoi(f[21])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond, pages * os.Getpagesize()
}
