//go:build linux

package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// Sixteen seats, some of them badly behaved, cost a daemon that carries traffic neither replies nor packets.
func TestSeatsUnderTraffic(t *testing.T) {
	seatsUnderTraffic(t, seatsPlan{pairs: 2, run: time.Second, tolerance: 0.75}) // other tests run beside; the soak holds 0.02
}

// seatsPlan is how often and how long the tunnel is measured without and with seats.
type seatsPlan struct {
	pairs     int
	run       time.Duration
	tolerance float64 // of the medians of the throughput at a load that leaves the processors room
}

// memoryLimit is what sixteen seats may cost the daemon, resident bytes: the queues of one that does not read (1 MiB of
// log lines, 4 MiB of others), of one that floods, and what the collector leaves lying about.
const memoryLimit = 64 << 20

func seatsUnderTraffic(t *testing.T, plan seatsPlan) {
	if testing.Short() {
		t.Skip("measures a tunnel for seconds")
	}
	l := newLab(t)
	l.issue(t, "other", pki.Spec{Name: "client2"})
	sock := l.file("s.sock")
	s := ours(t, l.server, l.serverArgs("--verb", "6", "--management", sock, "unix", "--log", l.file("s.log")))
	ctl := manage(t, sock)
	c := ours(t, l.client, l.clientArgs())
	c.WaitLine(t, up, upLimit)
	// A second client that comes and goes makes blocks of notifications.
	others := l.file("c.sock")
	o := ours(t, l.client, []string{
		"--client", "--dev", "null", "--verb", "1", "--remote", "10.99.0.1", "1194", "--nobind", "--remote-cert-tls", "server", "--connect-retry", "1", "1",
		"--ca", l.file("ca.crt"), "--cert", l.file("other.crt"), "--key", l.file("other.key"), "--management", others, "unix",
	})
	o.WaitLine(t, up, upLimit)
	churn := manage(t, others)

	free := l.iperf(t, 0, plan.run)
	rate := free / 4 // leaves room for iperf3, both daemons and sixteen clients on two processors
	pid, err := ctl.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := resident(t, pid)

	var alone, attached []float64
	var total seatCounts
	for range plan.pairs {
		alone = append(alone, l.iperf(t, rate, plan.run))
		crowd := newCrowd(t, sock, pid)
		crowd.add(15)
		do(t, churn, "signal", "SIGUSR1")
		attached = append(attached, l.iperf(t, rate, plan.run))
		crowd.waitBlock()
		total.merge(crowd.leave())
	}
	after := resident(t, pid)
	ratio := median(attached) / median(alone)
	t.Logf("at %.0f of %.0f Mbit/s: alone %.1f, with 16 seats %.1f, ratio %.4f; memory %d KiB before, %d after", rate, free, alone, attached, ratio, before>>10, after>>10)
	t.Logf("replies %d (flood %d), blocks %d, log lines %d, visits %d, told lost lines %d", total.replies, total.flood, total.blocks, total.logs, total.visits, total.lost)
	if ratio < 1-plan.tolerance {
		t.Errorf("throughput with seats is %.3f of that without, want %.3f", ratio, 1-plan.tolerance)
	}
	if after > before+memoryLimit {
		t.Errorf("the daemon grew from %d to %d KiB", before>>10, after>>10)
	}
	if total.replies == 0 || total.flood == 0 || total.blocks == 0 || total.logs == 0 || total.visits == 0 {
		t.Error("a kind of seat did nothing")
	}
	terminate(t, s)
}

// iperf sends TCP through the tunnel from client to server at a rate in Mbit/s, 0 for as fast as possible, and returns what
// arrived, in Mbit/s.
func (l *lab) iperf(t *testing.T, rate float64, d time.Duration) float64 {
	t.Helper()
	server := l.server.Start(t, "iperf3", "-s", "-1", "--forceflush") // one for each run: none inherits the last one's end
	server.WaitLine(t, "Server listening", upLimit)
	defer server.Stop(t)
	args := []string{"iperf3", "-c", "10.8.0.1", "-J", "-t", strconv.Itoa(int(math.Ceil(d.Seconds())))} // it takes whole seconds
	if rate > 0 {
		args = append(args, "-b", strconv.FormatFloat(rate*1e6, 'f', 0, 64))
	}
	ctx, cancel := context.WithTimeout(t.Context(), d+20*time.Second)
	defer cancel()
	var report struct {
		Error string
		End   struct {
			SumReceived struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	out, err := l.client.Command(ctx, args[0], args[1:]...).Output()
	if jerr := json.Unmarshal(out, &report); jerr != nil || err != nil || report.Error != "" {
		t.Fatalf("iperf3: %v %s\n%s", err, report.Error, out)
	}
	return report.End.SumReceived.BitsPerSecond / 1e6
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// resident is the memory of a process, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// seatCounts is what a crowd saw.
type seatCounts struct{ replies, flood, blocks, logs, visits, lost int64 }

func (c *seatCounts) merge(o seatCounts) {
	c.replies += o.replies
	c.flood += o.flood
	c.blocks += o.blocks
	c.logs += o.logs
	c.visits += o.visits
	c.lost += o.lost
}

// crowd is sixteen seats on one port, the test's own control connection included: one floods commands, one does not read,
// one comes and goes every 100 ms, the others ask now and then. All that read check what they get.
type crowd struct {
	t    *testing.T
	sock string
	pid  int
	stop chan struct{}
	wg   sync.WaitGroup
	n    struct{ replies, flood, blocks, logs, visits, lost atomic.Int64 }
}

func newCrowd(t *testing.T, sock string, pid int) *crowd {
	return &crowd{t: t, sock: sock, pid: pid, stop: make(chan struct{})}
}

// add attaches n seats, at least four of them, and returns when all are attached.
func (c *crowd) add(n int) {
	var ready sync.WaitGroup
	start := func(run func(s *crowdSeat)) {
		ready.Add(1)
		c.wg.Go(func() {
			s, err := c.attach()
			ready.Done()
			if err != nil {
				c.t.Error(err)
				return
			}
			defer s.conn.Close()
			run(s)
		})
	}
	start(c.flood)
	start(c.deaf)
	start(c.visit)
	for range n - 3 {
		start(c.ask)
	}
	ready.Wait()
}

func (c *crowd) leave() seatCounts {
	close(c.stop)
	c.wg.Wait()
	return seatCounts{c.n.replies.Load(), c.n.flood.Load(), c.n.blocks.Load(), c.n.logs.Load(), c.n.visits.Load(), c.n.lost.Load()}
}

// waitBlock waits until somebody saw a block of notifications.
func (c *crowd) waitBlock() {
	for deadline := time.Now().Add(upLimit); c.n.blocks.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *crowd) over() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// crowdSeat is one of them.
type crowdSeat struct {
	c    *crowd
	conn net.Conn
	r    *bufio.Reader
	in   string // the kind of notification block being read, "" outside
}

func (c *crowd) attach() (*crowdSeat, error) {
	conn, err := net.Dial("unix", c.sock)
	if err != nil {
		return nil, err
	}
	s := &crowdSeat{c: c, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	conn.SetDeadline(time.Now().Add(10 * time.Minute))
	if line, err := s.line(); err != nil || !strings.HasPrefix(line, ">INFO:") {
		conn.Close()
		return nil, fmt.Errorf("greeting %q, %v", line, err)
	}
	return s, nil
}

func (s *crowdSeat) line() (string, error) {
	line, err := s.r.ReadString('\n')
	if err == nil && !strings.HasSuffix(line, "\r\n") {
		err = errors.New("a line without CR")
	}
	return strings.TrimRight(line, "\r\n"), err
}

// notification counts a line that starts with '>', and checks that a block is not torn.
func (s *crowdSeat) notification(line string) error {
	kind, text, _ := strings.Cut(line[1:], ":")
	env, isEnv := strings.CutPrefix(text, "ENV,")
	switch {
	case s.in != "" && (kind != s.in || !isEnv):
		return fmt.Errorf("inside a %s block: %q", s.in, line)
	case s.in != "" && env == "END":
		s.in = ""
		s.c.n.blocks.Add(1)
	case s.in != "":
	case isEnv:
		return fmt.Errorf("outside of a block: %q", line)
	case kind == "CLIENT":
		s.in = kind
	case kind == "LOG":
		s.c.n.logs.Add(1)
	case kind == "NOTIFY":
		var n int64
		if _, err := fmt.Sscanf(text, "info,lost-lines,%d", &n); err == nil {
			s.c.n.lost.Add(n)
		}
	}
	return nil
}

// question is a command and the shape of its answer: a first line, and for a list a last one.
type portQuestion struct {
	line, first string
	list        bool
}

func (c *crowd) questions() []portQuestion {
	return []portQuestion{
		{"pid", "SUCCESS: pid=" + strconv.Itoa(c.pid), false},
		{"status 3", "TITLE\t", true},
		{"verb", "SUCCESS: verb=6", false},
		{"version", "OpenVPN Version: ", true},
		{"hold", "SUCCESS: hold=0", false},
		{"log 20", "", true},
		{"nonsense", "ERROR: unknown command", false},
		{"state", "", true},
		{"load-stats", "SUCCESS: nclients=", false},
		{"help", "Management Interface for ", true},
	}
}

// answer reads one reply: nothing may come between its lines.
func (s *crowdSeat) answer(q portQuestion) error {
	for first := true; ; {
		line, err := s.line()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", q.line, err)
		case strings.HasPrefix(line, ">") && !first:
			return fmt.Errorf("%s: inside the reply: %q", q.line, line)
		case strings.HasPrefix(line, ">"):
			if err := s.notification(line); err != nil {
				return err
			}
			continue
		case s.in != "":
			return fmt.Errorf("%s: the reply is inside a %s block", q.line, s.in)
		case first && !strings.HasPrefix(line, q.first):
			return fmt.Errorf("%s: the answer is %q, want %q", q.line, line, q.first)
		}
		first = false
		if !q.list || line == "END" {
			s.c.n.replies.Add(1)
			return nil
		}
	}
}

// quit asks for the end and expects nothing but notifications until then.
func (s *crowdSeat) quit() error {
	if _, err := s.conn.Write([]byte("quit\n")); err != nil {
		return err
	}
	for {
		line, err := s.line()
		if err != nil {
			return nil
		}
		if !strings.HasPrefix(line, ">") {
			return fmt.Errorf("behind quit: %q", line)
		}
		if err := s.notification(line); err != nil {
			return err
		}
	}
}

// flood sends commands without waiting for answers, and reads all of them in order.
func (c *crowd) flood(s *crowdSeat) {
	all := c.questions()
	var batch strings.Builder
	const repeat = 20
	for range repeat {
		for _, q := range all {
			batch.WriteString(q.line + "\n")
		}
	}
	sent := make(chan struct{}, 8) // batches on their way
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(sent)
		for !c.over() {
			if _, err := s.conn.Write([]byte(batch.String())); err != nil {
				c.t.Errorf("flood: %v", err)
				return
			}
			sent <- struct{}{}
		}
	})
	defer writer.Wait()
	for range sent {
		for range repeat {
			for _, q := range all {
				if err := s.answer(q); err != nil {
					c.t.Errorf("flood: %v", err)
					s.conn.Close()
					for range sent { // the writer may wait for room
					}
					return
				}
				c.n.flood.Add(1)
			}
		}
	}
}

// deaf wants the log and does not read it.
func (c *crowd) deaf(s *crowdSeat) {
	if _, err := s.conn.Write([]byte("log on all\nbytecount 1\nstate on\necho on\n")); err != nil {
		c.t.Errorf("deaf: %v", err)
	}
	<-c.stop
}

// visit attaches, turns the log on and leaves, every 100 ms, in all the ways there are.
func (c *crowd) visit(s *crowdSeat) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		_, err := s.conn.Write([]byte("log on\n"))
		if err == nil {
			err = s.answer(portQuestion{"log on", "SUCCESS: real-time log notification set to ON", false})
		}
		switch {
		case err != nil:
		case n%3 == 0:
			err = s.quit()
		case n%3 == 1:
			_, err = s.conn.Write([]byte("client-auth 0 1\npartial")) // a block and a line that never end
		}
		s.conn.Close()
		if err == nil {
			c.n.visits.Add(1)
			select {
			case <-c.stop:
				return
			case <-tick.C:
			}
			s, err = c.attach()
		}
		if err != nil {
			c.t.Errorf("visit %d: %v", n, err)
			return
		}
	}
}

// ask follows the log and asks one thing every 50 ms.
func (c *crowd) ask(s *crowdSeat) {
	all := append([]portQuestion{{"log on", "SUCCESS: real-time log notification set to ON", false}}, c.questions()...)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		q := all[0]
		if i > 0 {
			q = all[1+i%(len(all)-1)]
		}
		_, err := s.conn.Write([]byte(q.line + "\n"))
		if err == nil {
			err = s.answer(q)
		}
		if err != nil {
			c.t.Errorf("ask: %v", err)
			return
		}
		select {
		case <-c.stop:
			if err := s.quit(); err != nil {
				c.t.Errorf("ask: %v", err)
			}
			return
		case <-tick.C:
		}
	}
}
