//go:build linux

package daemontest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of one test, removed with everything in it when the test ends.
// Tests that need one run as root; RequireRoot says so.
type Namespace struct {
	// Name is the one `ip netns` knows, unique to this test process.
	Name string
}

var nsCount atomic.Int32

// RequireRoot skips a test, with the reason, where namespaces cannot be made.
func RequireRoot(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("makes network namespaces: left to the run without -short")
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux network namespaces")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the ip command (iproute2)")
	}
}

// NewNamespace makes a namespace with its loopback up.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	RequireRoot(t)
	n := &Namespace{Name: fmt.Sprintf("mg%d-%d", os.Getpid(), nsCount.Add(1))}
	runIP(t, "netns", "add", n.Name)
	t.Cleanup(func() { n.remove(t) })
	n.Run(t, "ip", "link", "set", "lo", "up")
	return n
}

// remove ends what still runs inside, so that the namespace really goes away.
func (n *Namespace) remove(t testing.TB) {
	out, err := exec.Command("ip", "netns", "pids", n.Name).Output()
	if err == nil {
		for _, pid := range strings.Fields(string(out)) {
			var p int
			if _, err := fmt.Sscan(pid, &p); err == nil && p > 1 && p != os.Getpid() {
				_ = unix.Kill(p, unix.SIGKILL)
			}
		}
	}
	// Notes of route changes that a killed daemon left.
	var ns unix.Stat_t
	if err := unix.Stat("/run/netns/"+n.Name, &ns); err == nil {
		notes, _ := filepath.Glob("/run/moongate/*/*.routes")
		for _, path := range notes {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), fmt.Sprintf(`"netns":%d,`, ns.Ino)) {
				_ = os.Remove(path)
				_ = os.Remove(filepath.Dir(path))
			}
		}
	}
	if out, err := exec.Command("ip", "netns", "del", n.Name).CombinedOutput(); err != nil {
		t.Errorf("ip netns del %s: %v\n%s", n.Name, err, out)
	}
}

func runIP(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Veth joins two namespaces by a pair of interfaces, both up, with the given addresses (any number, both families).
func Veth(t testing.TB, a *Namespace, aDev string, aAddrs []string, b *Namespace, bDev string, bAddrs []string) {
	t.Helper()
	runIP(t, "link", "add", aDev, "netns", a.Name, "type", "veth", "peer", "name", bDev, "netns", b.Name)
	for _, e := range []struct {
		n     *Namespace
		dev   string
		addrs []string
	}{{a, aDev, aAddrs}, {b, bDev, bAddrs}} {
		for _, s := range e.addrs {
			p := netip.MustParsePrefix(s)
			args := []string{"ip", "addr", "add", s, "dev", e.dev}
			if p.Addr().Is6() {
				args = append(args, "nodad") // usable at once
			}
			e.n.Run(t, args...)
		}
		e.n.Run(t, "ip", "link", "set", e.dev, "up")
	}
}

// NewPair makes two namespaces joined by eth0 interfaces, 10.99.0.1/24 and fd99::1/64 in the first,
// 10.99.0.2/24 and fd99::2/64 in the second.
func NewPair(t testing.TB) (*Namespace, *Namespace) {
	t.Helper()
	a, b := NewNamespace(t), NewNamespace(t)
	Veth(t, a, "eth0", []string{"10.99.0.1/24", "fd99::1/64"}, b, "eth0", []string{"10.99.0.2/24", "fd99::2/64"})
	return a, b
}

// Command prepares a command that runs in the namespace and is killed when ctx ends.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Run runs a command in the namespace, at most 30 s, fails the test when it fails, and returns its output.
func (n *Namespace) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := n.TryRun(args...)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", n.Name, strings.Join(args, " "), err, out)
	}
	return out
}

// TryRun is Run for commands that may fail. The output holds both streams.
func (n *Namespace) TryRun(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := n.Command(ctx, args[0], args[1:]...)
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return buf.String(), err
}

// Do runs f on a thread inside the namespace and waits for it. Sockets and devices f opens stay in the namespace;
// goroutines f starts do not. f must not call t.FailNow: it runs on another goroutine.
func (n *Namespace) Do(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// The thread is not unlocked: it ends with the goroutine instead of going back to the others.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+n.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- fmt.Errorf("open namespace %s: %w", n.Name, err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", n.Name, err)
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
