//go:build linux

package test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

// What a crowd costs a server, our server beside the stock one: processor time of a handshake, memory of a client. A
// client that is connected loses no packet meanwhile.
func TestServerUnderLoad(t *testing.T) {
	t.Parallel()
	serverUnderLoad(t, 40, 0) // the soak looks at the figures
}

// settling is how long a server gets until its memory is looked at: what the handshakes left behind goes.
const settling = 3 * time.Second

func serverUnderLoad(t *testing.T, clients int, settle time.Duration) (theirs, own cost) {
	t.Helper()
	theirs = crowdCost(t, stock, clients, settle, false)
	own = crowdCost(t, ours, clients, settle, true)
	t.Logf("%d clients: ours %v, stock %v", clients, own, theirs)
	return theirs, own
}

// cost is what one client costs.
type cost struct {
	handshake time.Duration // processor time
	memory    int           // resident bytes
	all       time.Duration // until the last client was up
}

func (c cost) String() string {
	return fmt.Sprintf("%v a handshake, %.1f KB a client, all up after %v", c.handshake.Round(10*time.Microsecond), float64(c.memory)/1000, c.all.Round(10*time.Millisecond))
}

// crowdCost connects stock clients without devices, all at once, and measures what that costs the server, beside a client
// that pings it every 10 ms, all the time if it is to lose nothing.
func crowdCost(t *testing.T, start starter, clients int, settle time.Duration, lossless bool) cost {
	t.Helper()
	l := newLab(t)
	s := start(t, l.server, l.serverArgs("--tls-crypt", l.file("ta.key"), "--duplicate-cn", "--connect-freq-initial", "10000", "10", "--verb", "1"))
	s.WaitLine(t, up, upLimit)
	n, server := l.host(t)
	l.stockClientOn(t, n, server, "--tls-crypt", "ta.key")
	cpu, rss := used(t, s.PID())
	began := time.Now()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if lossless {
			ping(t, n, "10.8.0.1", 10*clients/3, 0, "0.01") // longer than the crowd takes
		}
	}()
	var all []*daemontest.Process
	for range clients {
		all = append(all, stock(t, l.client, l.clientArgs("--tls-crypt", l.file("ta.key"), "--dev", "null", "--ifconfig-noexec", "--route-noexec", "--verb", "1", "--explicit-exit-notify", "1")))
	}
	for _, c := range all {
		c.WaitLine(t, up, time.Minute)
	}
	took := time.Since(began)
	cpuAfter, _ := used(t, s.PID())
	<-watched
	time.Sleep(settle)
	_, rssAfter := used(t, s.PID())
	for _, c := range all {
		c.Signal(t, 15)
	}
	for _, c := range all {
		c.Wait(t, 20*time.Second)
	}
	terminate(t, s)
	return cost{handshake: (cpuAfter - cpu) / time.Duration(clients), memory: (rssAfter - rss) / clients, all: took}
}

// BenchmarkServerClients connects five thousand clients of this process to one server: what a handshake and a connected
// client cost it.
func BenchmarkServerClients(b *testing.B) {
	if testing.Short() {
		b.Skip("takes half a minute")
	}
	const clients = 5000
	var c cost
	for b.Loop() {
		c = thousands(b, clients)
	}
	b.ReportMetric(float64(c.handshake)/float64(time.Millisecond), "cpu-ms/client")
	b.ReportMetric(float64(c.memory)/1000, "KB/client")
	b.ReportMetric(clients/c.all.Seconds(), "clients/s")
}

// thousands connects clients that live in this process to a server of its own, and ends them.
func thousands(t testing.TB, clients int) cost {
	t.Helper()
	l := newLab(t)
	return l.thousands(t, clients, l.ourServer(t, forThousands(clients)...))
}

// forThousands are options of a server that so many clients come to at once.
func forThousands(clients int) []string {
	return []string{"--server", "10.8.0.0", "255.255.0.0", "--duplicate-cn", "--max-clients", strconv.Itoa(clients + 1), "--connect-freq-initial", "1000000", "1", "--verb", "1"}
}

// thousands connects clients that live in this process to a server, and ends it.
func (l *lab) thousands(t testing.TB, clients int, s *daemontest.Process) cost {
	t.Helper()
	const atOnce = 64
	cert, err := tls.LoadX509KeyPair(l.file("client.crt"), l.file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]*net.UDPConn, clients)
	l.client.Do(t, func() (err error) {
		for i := range conns {
			if conns[i], err = dialFrom("", "10.99.0.1:1194"); err != nil {
				return err
			}
		}
		return nil
	})
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	cpu, rss := used(t, s.PID())
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, conn := range conns {
		group.Go(func() error {
			p, err := newPuppet(conn, cert, "V4", usual)
			if err != nil {
				return err
			}
			defer p.session.Close()
			return p.play(30*time.Second, func() bool { return p.told("PUSH_REPLY") })
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	cpuAfter, _ := used(t, s.PID())
	time.Sleep(settling)
	_, rssAfter := used(t, s.PID())
	terminate(t, s)
	return cost{handshake: (cpuAfter - cpu) / time.Duration(clients), memory: (rssAfter - rss) / clients, all: took}
}

// used is the processor time and the resident memory of a process so far.
func used(t testing.TB, pid int) (cpu time.Duration, rss int) {
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
