//go:build soak && !nofleet

package jet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// What a fleet may add to a process, in MB.
const (
	idleMost  = 25
	crowdMost = 28 // with 10,000 sessions, two thirds of them at other nodes: 25, and what runs differ
)

// asNode in the environment makes this test program a node, which obeys its standard input. It holds a nodePlan.
const asNode = "MOONGATE_TEST_NODE"

func init() {
	if plan := os.Getenv(asNode); plan != "" {
		if err := runNode(plan); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// nodePlan is one of three nodes, each with its share of the sessions.
type nodePlan struct {
	Number, Sessions        int
	Dir, Identity           string
	Listen, Advertise, Name string
	Peers                   []string
}

// runNode carries out the lines of standard input, and answers each with a line: engine, login, settled, free.
func runNode(text string) error {
	var plan nodePlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	var member *fleet.Member
	var sessions errgroup.Group
	sessions.SetLimit(8)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var err error
		switch lines.Text() {
		case "engine":
			member, err = startNode(ctx, plan, &all)
		case "login":
			for n := plan.Number; n < plan.Sessions; n += 3 {
				sessions.Go(func() error {
					ctx, cancel := context.WithTimeout(ctx, time.Minute)
					defer cancel()
					name := fmt.Sprint("user ", n)
					_, err := member.Begin(ctx, fleet.Client{
						ID: uint64(n), Identity: name, Mark: fmt.Sprintf("%064x", n), User: name, Account: name, CommonName: name, Since: time.Now(),
					})
					return err
				})
			}
			err = sessions.Wait()
		case "settled":
			for member.Status().Leases != plan.Sessions {
				time.Sleep(100 * time.Millisecond)
			}
		case "free":
			debug.FreeOSMemory()
		}
		if err != nil {
			return err
		}
		fmt.Println("done")
	}
	return lines.Err()
}

func startNode(ctx context.Context, plan nodePlan, all *sync.WaitGroup) (*fleet.Member, error) {
	folder, err := pki.Load(plan.Identity)
	if err != nil {
		return nil, err
	}
	conf, err := folder.TLS(nil)
	if err != nil {
		return nil, err
	}
	e, err := Start(ctx, Config{Name: plan.Name, Dir: plan.Dir, Routes: &Routes{Cluster: "x", Listen: plan.Listen, Advertise: plan.Advertise, Peers: plan.Peers, TLS: conf}})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, e.Close)
	m, err := fleet.New(fleet.Config{
		Node: plan.Name, Store: e.Store(), Slots: 4 * plan.Sessions, Pool: "test", Limit: fleet.Limit{Single: true}, Alone: true, Host: nobody{},
	})
	if err != nil {
		return nil, err
	}
	all.Go(func() { _ = m.Run(ctx) })
	for !m.Ready() {
		time.Sleep(100 * time.Millisecond)
	}
	return m, nil
}

// nodeProcess is a node that is a process of its own.
type nodeProcess struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startNodeProcess(t *testing.T, plan nodePlan) *nodeProcess {
	t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	p := &nodeProcess{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), asNode+"="+string(text))
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

func (p *nodeProcess) do(line string) error {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return err
	}
	if !p.out.Scan() {
		return errors.Join(io.ErrUnexpectedEOF, p.out.Err())
	}
	if p.out.Text() != "done" {
		return errors.New(p.out.Text())
	}
	return nil
}

// size returns the memory of a process in MB: all of it, and the part that is not mapped from a file.
func (p *nodeProcess) size(t *testing.T) (all, own float64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kb := func(name string) (n float64) {
		_, rest, _ := strings.Cut(string(b), name+":")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatal(err)
		}
		return n / 1024
	}
	return kb("VmRSS"), kb("RssAnon")
}

// What a fleet adds to a process: its engine, its copy of the records and its own sessions, in nodes that are processes of their own, against the same process
// before its engine starts. The first two figures are of processes that were left alone for longer than the collector of garbage waits.
func TestSoakResident(t *testing.T) {
	const sessions, rest = 10000, 150 * time.Second
	folder, err := pki.Init(t.TempDir()+"/fleet", pki.Plan{Name: "x", Address: "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var plans [3]nodePlan
	for k := range plans {
		plans[k] = nodePlan{Number: k, Sessions: sessions, Dir: t.TempDir(), Identity: folder.Dir, Listen: daemontest.FreeAddress(t, 1), Name: fmt.Sprint("n", k)}
		plans[k].Advertise = plans[k].Listen
	}
	var nodes []*nodeProcess
	for k := range plans {
		for j := range plans {
			if j != k {
				plans[k].Peers = append(plans[k].Peers, plans[j].Listen)
			}
		}
		nodes = append(nodes, startNodeProcess(t, plans[k]))
	}
	all := func(line string) {
		t.Helper()
		var each errgroup.Group
		for _, p := range nodes {
			each.Go(func() error { return p.do(line) })
		}
		if err := each.Wait(); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	var before [3]float64
	all("free")
	for k, p := range nodes {
		before[k], _ = p.size(t)
	}
	added := func(when string, bound float64) {
		t.Helper()
		for k, p := range nodes {
			now, own := p.size(t)
			t.Logf("%s: node %d has %.1f MB, %.1f MB more than before its engine; %.1f MB are no file's", when, k, now, now-before[k], own)
			if now-before[k] > bound {
				t.Errorf("more than %.0f MB", bound)
			}
		}
	}
	all("engine")
	time.Sleep(rest)
	added("idle", idleMost)
	all("login")
	all("settled")
	time.Sleep(rest)
	added(fmt.Sprintf("at rest with %d sessions", sessions), crowdMost)
	all("free")
	added("that, after a collection", crowdMost)
}
