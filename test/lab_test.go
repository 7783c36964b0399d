//go:build linux

package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// asDaemon in the environment makes this test program the daemon, so that the tests run what they were built with.
const asDaemon = "MOONGATE_TEST_DAEMON"

func TestMain(m *testing.M) {
	clock.Follow()
	if os.Getenv(asDaemon) != "" {
		os.Exit(daemon.Main(context.Background(), os.Args[1:], daemon.Env{Scripts: luahost.Host{}}))
	}
	code := m.Run()
	_ = os.RemoveAll(releasedDir)
	os.Exit(code)
}

// releasedDir is where released puts the program, empty until then.
var releasedDir string

// released makes the real program, once, under the name that makes it the daemon, and returns its path. Without cgo, as it is
// released, it can change what belongs to each thread in all of them; this test program cannot when it has the race detector.
var released = sync.OnceValues(func() (path string, err error) {
	if releasedDir, err = os.MkdirTemp("", "mg-released-"); err != nil {
		return "", err
	}
	path = filepath.Join(releasedDir, "openvpn")
	return path, daemontest.BuildProgram(path)
})

// lab is two hosts joined by a link, with keys and certificates for both in a folder.
//
//	server 10.99.0.1/24, fd99::1/64  ──eth0────eth0──  client 10.99.0.2/24, fd99::2/64
//	   tunnel 10.8.0.1/24                                 tunnel 10.8.0.2/24 …
type lab struct {
	dir            string
	ca             *pki.CA
	server, client *daemontest.Namespace
}

func newLab(t testing.TB) *lab {
	t.Helper()
	daemontest.RequireRoot(t)
	l := &lab{dir: t.TempDir()}
	l.server, l.client = daemontest.NewPair(t)
	var err error
	if l.ca, err = pki.NewCA("Lab CA"); err != nil {
		t.Fatal(err)
	}
	l.issue(t, "server", pki.Spec{Name: "server", Server: true})
	l.issue(t, "client", pki.Spec{Name: "client1"})
	l.write(t, "ca.crt", l.ca.PEM)
	l.write(t, "ta.key", pki.StaticKey())
	return l
}

// issue makes a certificate with its key, as files name.crt and name.key.
func (l *lab) issue(t testing.TB, name string, s pki.Spec) *pki.Leaf {
	t.Helper()
	leaf, err := l.ca.Issue(s)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, name+".crt", leaf.CertPEM)
	l.write(t, name+".key", leaf.KeyPEM)
	return leaf
}

func (l *lab) write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := l.file(name)
	// A program that this process starts meanwhile would inherit the file, open for writing: no script could be run then.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, content, 0o600)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

// serverArgs are the options of a multi-client server.
func (l *lab) serverArgs(extra ...string) []string {
	return append([]string{
		"--dev", "tun", "--server", "10.8.0.0", "255.255.255.0", "--topology", "subnet", "--dh", "none", "--verb", "3",
		"--ca", l.file("ca.crt"), "--cert", l.file("server.crt"), "--key", l.file("server.key"), "--keepalive", "10", "60",
	}, extra...)
}

// clientArgs are the options of a client of it.
func (l *lab) clientArgs(extra ...string) []string {
	args := []string{
		"--client", "--dev", "tun", "--verb", "3", "--remote-cert-tls", "server",
		"--ca", l.file("ca.crt"), "--cert", l.file("client.crt"), "--key", l.file("client.key"),
	}
	if !slices.Contains(extra, "--remote") {
		args = append(args, "--remote", "10.99.0.1", "1194")
	}
	return append(args, extra...)
}

// stock starts the stock daemon.
func stock(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
	t.Helper()
	return n.Start(t, daemontest.RequireOpenVPN(t), args...)
}

// ours starts our daemon; with user in its arguments, which a program with cgo refuses, as it is released.
func ours(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
	t.Helper()
	if slices.Contains(args, "--user") {
		return oursReleased(t, n, args)
	}
	return oursAt(t, n, nil, args)
}

// oursAt is ours with a wall clock that the test sets, nil for the system's.
func oursAt(t testing.TB, n *daemontest.Namespace, c *clock.System, args []string) *daemontest.Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{asDaemon + "=1"}
	if c != nil {
		env = append(env, c.Variable())
	}
	return n.Start(t, "env", slices.Concat(env, []string{exe}, args)...)
}

// oursReleased starts our daemon as it is released: without the race detector and what it takes in memory and threads.
func oursReleased(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
	t.Helper()
	return n.Start(t, program(t), args...)
}

// starter starts a daemon of either kind.
type starter func(testing.TB, *daemontest.Namespace, []string) *daemontest.Process

// programs are the two daemons by name, for tests that hold for both.
var programs = map[string]starter{"stock": stock, "ours": ours}

// compared are the two for tables that hold ours to stock's words, case by case: ours as it is released. The race detector, which makes a
// daemon several times dearer, looks on where the same ways are gone with traffic.
var compared = map[string]starter{"stock": stock, "ours": oursReleased}

const (
	up      = "Initialization Sequence Completed"
	upLimit = 20 * time.Second
)

// stockServer starts a stock server and waits until it listens.
func (l *lab) stockServer(t testing.TB, extra ...string) *daemontest.Process {
	t.Helper()
	p := stock(t, l.server, l.serverArgs(extra...))
	p.WaitLine(t, up, upLimit)
	return p
}

// ping sends count echo requests through the tunnel and fails when more than lost of them are not answered.
func ping(t testing.TB, from *daemontest.Namespace, target string, count, lost int, interval string) {
	t.Helper()
	if missing, out := unanswered(from, target, count, interval); missing > lost {
		t.Errorf("%d of %d pings to %s were not answered:\n%s", missing, count, target, out)
	}
}

// firstAnswer waits for one: the kernel may drop the first packet of a fresh interface's IPv6, and a stock server that of a
// client that is up before it has its keys.
func firstAnswer(t testing.TB, from *daemontest.Namespace, target string) {
	t.Helper()
	daemontest.Await(t, "the first answer of "+target, func() bool {
		_, err := from.TryRun("ping", "-n", "-c", "1", "-W", "1", target)
		return err == nil
	})
}

// unanswered sends count packets and returns how many of them had no answer 5 s after the last, with what ping says. Without an
// end of its own, ping waits for the last answer only twice the longest round trip, which is too short on a busy machine; with one
// it goes on until count answers have come, so the first count packets are looked for by number.
func unanswered(from *daemontest.Namespace, target string, count int, interval string) (missing int, out string) {
	seconds, err := strconv.ParseFloat(interval, 64)
	if err != nil {
		return count, err.Error()
	}
	end := 3*int(seconds*float64(count)) + 5 // a busy machine sends late, too
	out, _ = from.TryRun("ping", "-n", "-c", strconv.Itoa(count), "-i", interval, "-w", strconv.Itoa(end), target)
	for n := 1; n <= count; n++ {
		if !strings.Contains(out, fmt.Sprintf("icmp_seq=%d ttl=", n)) {
			missing++
		}
	}
	return missing, out
}

// lostMeanwhile pings beside the test and sends what ping says once it is over, or "" when nothing was lost.
func lostMeanwhile(from *daemontest.Namespace, target string, count int, interval string) <-chan string {
	said := make(chan string, 1)
	go func() {
		missing, out := unanswered(from, target, count, interval)
		if missing == 0 {
			out = ""
		}
		said <- out
	}()
	return said
}

// network is what addresses and routes a host has, without what the kernel does to a fresh link meanwhile.
func network(t testing.TB, n *daemontest.Namespace) string {
	t.Helper()
	var keep []string
	all := n.Run(t, "ip", "-o", "addr", "show", "scope", "global") + n.Run(t, "ip", "route") + n.Run(t, "ip", "-6", "route")
	for line := range strings.SplitSeq(all, "\n") {
		if !strings.Contains(line, "fe80::") {
			keep = append(keep, strings.TrimSpace(strings.ReplaceAll(line, " linkdown", "")))
		}
	}
	return strings.Join(keep, "\n")
}

// manage attaches to a management socket as soon as it is there.
func manage(t testing.TB, path string) *client.Client {
	t.Helper()
	deadline := time.Now().Add(upLimit)
	for {
		c, err := client.Dial(t.Context(), "unix:"+path, client.Options{})
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("management socket %s: %v", path, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// notified waits for a notification, as long as the slowest of them may take.
func notified(t testing.TB, sub *client.Subscription) (client.Notification, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*upLimit)
	defer cancel()
	return sub.Next(ctx)
}

// do runs a management command and fails the test when it is refused.
func do(t testing.TB, c *client.Client, words ...string) {
	t.Helper()
	if _, err := c.Do(t.Context(), words...); err != nil {
		t.Fatalf("%s: %v", strings.Join(words, " "), err)
	}
}

// states is the state history as "NAME" or "NAME,detail".
func states(t testing.TB, c *client.Client) []string {
	t.Helper()
	list, err := c.States(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range list {
		out = append(out, stateText(s))
	}
	return out
}

func stateText(s mgmt.State) string {
	if s.Detail == "" {
		return s.Name
	}
	return s.Name + "," + s.Detail
}

// terminate ends a daemon and fails the test unless it exits with status 0.
func terminate(t testing.TB, p *daemontest.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit status %d after SIGTERM\n%s", code, p.Log())
	}
}
