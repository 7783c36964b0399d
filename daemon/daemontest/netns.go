//go:build linux

package daemontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
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
	if err := shareNames(); err != nil {
		t.Fatalf("%s: %v", names, err)
	}
	t.Cleanup(func() { n.remove(t) })
	if err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a namespace: %w", err)
		}
		if err := os.WriteFile(n.path(), nil, 0o444); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/net", n.path(), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("name a namespace: %w", err)
		}
		return linkUp("lo")
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// names is the folder in which `ip netns` looks for namespaces.
const names = "/run/netns"

func (n *Namespace) path() string { return filepath.Join(names, n.Name) }

// shareNames makes the folder a mount that is shared, as `ip netns` does: a namespace that is removed here goes from other mount namespaces, too.
var shareNames = sync.OnceValue(func() error {
	if err := os.MkdirAll(names, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", names, "", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // no mount yet
		return err
	}
	if err := unix.Mount(names, names, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", names, "", unix.MS_SHARED|unix.MS_REC, "")
})

// apart runs f on a thread that ends with it, whatever f makes of the thread, and waits for it.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine instead of going back to the others
		if unix.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread() // the first thread does not end: it waits here, so that another is taken
			done <- apart(f)
			return
		}
		done <- f()
	}()
	return <-done
}

// inside runs f on a thread inside the namespace and waits for it.
func (n *Namespace) inside(f func() error) error {
	return apart(func() error {
		fd, err := unix.Open(n.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open namespace %s: %w", n.Name, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.Name, err)
		}
		return f()
	})
}

// PIDs are the processes inside, never this one.
func (n *Namespace) PIDs() (pids []int) {
	var ns, of unix.Stat_t
	proc, err := os.Open("/proc")
	if err != nil || unix.Stat(n.path(), &ns) != nil {
		return nil
	}
	defer proc.Close()
	all, _ := proc.Readdirnames(0)
	for _, name := range all {
		pid, err := strconv.Atoi(name)
		if err == nil && pid != os.Getpid() && unix.Stat("/proc/"+name+"/ns/net", &of) == nil && of.Ino == ns.Ino && of.Dev == ns.Dev {
			pids = append(pids, pid)
		}
	}
	return pids
}

// remove ends what still runs inside, so that the namespace really goes away.
func (n *Namespace) remove(t testing.TB) {
	for _, pid := range n.PIDs() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	// Notes of route changes that a killed daemon left.
	var ns unix.Stat_t
	if err := unix.Stat(n.path(), &ns); err == nil {
		notes, _ := filepath.Glob("/run/moongate/*/*.routes")
		for _, path := range notes {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), fmt.Sprintf(`"netns":%d,`, ns.Ino)) {
				_ = os.Remove(path)
				_ = os.Remove(filepath.Dir(path))
			}
		}
	}
	if err := unix.Unmount(n.path(), unix.MNT_DETACH); err != nil {
		t.Errorf("remove namespace %s: %v", n.Name, err)
	}
	if err := os.Remove(n.path()); err != nil {
		t.Error(err)
	}
}

// linkUp sets an interface of the thread's namespace up.
func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// Veth joins two namespaces by a pair of interfaces, both up, with the given addresses (any number, both families).
func Veth(t testing.TB, a *Namespace, aDev string, aAddrs []string, b *Namespace, bDev string, bAddrs []string) {
	t.Helper()
	far, err := os.Open(b.path())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	a.Do(t, func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: aDev}, PeerName: bDev, PeerNamespace: netlink.NsFd(int(far.Fd()))}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("join %s and %s: %w", a.Name, b.Name, err)
		}
		return addressed(aDev, aAddrs)
	})
	b.Do(t, func() error { return addressed(bDev, bAddrs) })
}

// addressed gives an interface of the thread's namespace addresses, usable at once, and sets it up.
func addressed(dev string, addrs []string) error {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return fmt.Errorf("find %s: %w", dev, err)
	}
	for _, s := range addrs {
		addr, err := netlink.ParseAddr(s)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("give %s the address %s: %w", dev, s, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", dev, err)
	}
	return nil
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
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.path(), name}, args...)...)
}

// StartIn starts a command in the namespace: a process begins in that of the thread that starts it.
func (n *Namespace) StartIn(cmd *exec.Cmd) error { return n.inside(cmd.Start) }

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
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	cmd.WaitDelay = time.Second
	err := n.StartIn(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	return buf.String(), err
}

// LinkFile reads a file of /sys/class/net about an interface of the namespace.
func (n *Namespace) LinkFile(t testing.TB, dev, name string) string {
	t.Helper()
	return strings.TrimSpace(n.Run(t, "ip", "netns", "exec", n.Name, "cat", filepath.Join("/sys/class/net", dev, name)))
}

// Do runs f on a thread inside the namespace and waits for it. Sockets and devices f opens stay in the namespace;
// goroutines f starts do not. f must not call t.FailNow: it runs on another goroutine.
func (n *Namespace) Do(t testing.TB, f func() error) {
	t.Helper()
	if err := n.inside(f); err != nil {
		t.Fatal(err)
	}
}
