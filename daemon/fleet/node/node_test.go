//go:build !nofleet

package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// A server of NATS 2.15.2 that was removed from its cluster leaves goroutines of its removed stream behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

func open(t *testing.T, dir string) *Node {
	t.Helper()
	n, err := Open(t.Context(), dir, Options{Log: daemontest.LogTo(t, 5), Manage: echo})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// echo is a management port that repeats what it hears.
func echo(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	io.Copy(conn, conn) //nolint:errcheck // until the end
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	daemontest.Eventually(t, time.Minute, what, try)
}

// place is a new place for a node's folder. NATS 2.15.2 may write a file a moment after its server has shut down, which t.TempDir takes for an error.
func place(t *testing.T) (dir string) {
	t.Helper()
	base, err := os.MkdirTemp("", "moongate-node-*") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, "removal of "+base, func() error { return os.RemoveAll(base) }) })
	return filepath.Join(base, "fleet")
}

func first(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = place(t)
	if _, err := pki.Init(dir, pki.Plan{Name: name, Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// join makes a node's folder with an invitation of another one.
func join(t *testing.T, by *Node, name string) (dir string) {
	t.Helper()
	token, err := by.Folder().Invite(time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir = place(t)
	if _, err := pki.Join(t.Context(), dir, token, pki.Plan{Name: name, Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shares waits until what one node writes is what the others read.
func shares(t *testing.T, key string, nodes ...*Node) {
	t.Helper()
	mode := modeCluster
	if len(nodes) == 1 {
		mode = modeAlone
	}
	for _, n := range nodes {
		eventually(t, "engine of mode "+mode+" at "+n.Name(), func() error {
			if s := n.Status(t.Context()); s.Engine.Mode != mode || !s.Engine.Ready {
				return fmt.Errorf("%+v", s.Engine)
			}
			return nil
		})
	}
	eventually(t, "write at "+nodes[0].Name(), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := nodes[0].Store().Create(ctx, key, []byte(key))
		if errors.Is(err, fleet.ErrConflict) {
			return nil
		}
		return err
	})
	for _, n := range nodes {
		eventually(t, "read at "+n.Name(), func() error {
			r, err := n.Store().Get(t.Context(), key)
			if err == nil && string(r.Value) != key {
				err = fmt.Errorf("the value is %q", r.Value)
			}
			return err
		})
	}
}

// A fleet's life: a node alone, a second and a third, one that leaves, one that is lost and replaced, and alone again.
func TestLife(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster of three elects, some seconds each")
	}
	t.Parallel()
	dirA := first(t, "a")
	a := open(t, dirA)
	changes := a.Store().Watch(t.Context(), "")
	shares(t, "alone", a)

	b := open(t, join(t, a, "b"))
	shares(t, "two", a, b)
	if _, err := a.Store().Get(t.Context(), "alone"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("the store of one node is in the store of two: %v", err)
	}
	c := open(t, join(t, b, "c"))
	shares(t, "three", c, a, b)
	three := func(m Member) bool { return m.State == Active }
	for _, n := range []*Node{a, b, c} {
		eventually(t, "roster of three at "+n.Name(), func() error { return members(n, three, 3) })
	}
	eventually(t, "three replicas", func() error { return replicas(t, a, 2) })
	seen := map[string]bool{}
	for !seen["alone"] || !seen["two"] || !seen["three"] {
		select {
		case ch := <-changes:
			seen[ch.Key] = true
		case <-time.After(15 * time.Second):
			t.Fatalf("the watch over three engines saw %v", seen)
		}
	}

	// Any node may be missing, the first as well.
	a.Close()
	shares(t, "without_a", b, c)
	a = open(t, dirA)
	shares(t, "with_a_again", a, b, c)

	// One leaves.
	caller, err := NewCaller(c.Folder().Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	self := Member{Name: "c", Address: c.Folder().Address}
	if err := caller.Leave(t.Context(), self, "c"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the engine of c", func() error {
		if s := c.Status(t.Context()); s.Engine.Mode != modeNone {
			return fmt.Errorf("it runs as %q", s.Engine.Mode)
		}
		return nil
	})
	if err := caller.Leave(t.Context(), self, "c"); err == nil || !strings.Contains(err.Error(), "no node c") {
		t.Errorf("leave twice: %v", err)
	}
	c.Close()
	if _, err := Open(t.Context(), c.Folder().Dir, Options{}); err == nil || !strings.Contains(err.Error(), "has left") {
		t.Errorf("a node that has left opens: %v", err)
	}
	shares(t, "two_again", a, b)
	eventually(t, "two replicas", func() error { return replicas(t, a, 1) })

	// Another one comes, with the name of the one that left.
	c = open(t, join(t, a, "c"))
	shares(t, "three_again", a, b, c)
	eventually(t, "three replicas again", func() error { return replicas(t, b, 2) })

	// Two are lost: the last one says so, and goes on alone.
	b.Close()
	c.Close()
	eventually(t, "loss of the majority", func() error {
		if _, err := a.Store().Get(t.Context(), "three_again"); !errors.Is(err, fleet.ErrAway) {
			return fmt.Errorf("get: %w", err)
		}
		return nil
	})
	callA, err := NewCaller(dirA)
	if err != nil {
		t.Fatal(err)
	}
	defer callA.Close()
	for _, lost := range []string{"b", "c"} {
		if err := callA.Leave(t.Context(), Member{Name: "a", Address: a.Folder().Address}, lost); err != nil {
			t.Fatal(err)
		}
	}
	shares(t, "alone_again", a)
	if s := a.Status(t.Context()); s.Engine.Mode != modeAlone || !s.Engine.Ready {
		t.Errorf("the engine: %+v", s.Engine)
	}

	// A lost one that comes back hears that it has left.
	b = open(t, b.Folder().Dir)
	eventually(t, "b to hear that it has left", func() error {
		if !b.hasLeft("b") {
			return errors.New("it has not")
		}
		return nil
	})
}

func members(n *Node, ok func(Member) bool, want int) error {
	got := 0
	for _, m := range n.Members() {
		if ok(m) {
			got++
		}
	}
	if got != want {
		return fmt.Errorf("%d of %v", got, n.Members())
	}
	return nil
}

// replicas wants so many other servers to keep the store, all of them up to date.
func replicas(t *testing.T, n *Node, others int) error {
	now, _ := n.Store().current()
	if now == nil {
		return errors.New("no engine")
	}
	got, err := now.Replicas(t.Context())
	if err == nil && got != others {
		err = fmt.Errorf("%d others are up to date, and not %d", got, others)
	}
	return err
}

// A seat of another node's management port, through the talk of the nodes.
func TestManage(t *testing.T) {
	t.Parallel()
	dir := first(t, "a")
	open(t, dir)
	c, err := NewCaller(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Members()
	if err != nil || len(all) != 1 {
		t.Fatalf("members %v: %v", all, err)
	}
	conn, err := c.Manage(t.Context(), all[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "status\r\n")
	got := make([]byte, 8)
	conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "status\r\n" {
		t.Errorf("%q %v", got, err)
	}
	s, err := c.Status(t.Context(), all[0])
	if err != nil || s.Name != "a" || len(s.Members) != 1 {
		t.Errorf("status %+v: %v", s, err)
	}
}

// A node tells its history line by line; one that fails or breaks off in the midst is no answer.
func TestHistory(t *testing.T) {
	t.Parallel()
	dir := first(t, "a")
	n, err := Open(t.Context(), dir, Options{Log: daemontest.LogTo(t, 5), History: func(_ context.Context, question []byte, take func([]byte) error) error {
		for i := range 5000 {
			if string(question) == "fail" && i == 4000 {
				return errors.New("the disk fails")
			}
			if err := take([]byte(fmt.Sprintf(`{"n":%d}`, i))); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	c, err := NewCaller(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Members()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(question string, most int) (lines int, err error) {
		err = c.History(t.Context(), all[0], []byte(question), func([]byte) error {
			if lines++; lines == most {
				return errors.New("enough")
			}
			return nil
		})
		return lines, err
	}
	for range 2 * historiesMost { // one after the other, none is left behind
		if lines, err := ask("all", 0); lines != 5000 || err != nil {
			t.Fatalf("%d lines, %v", lines, err)
		}
	}
	if _, err := ask("fail", 0); err == nil || !strings.Contains(err.Error(), "the disk fails") {
		t.Errorf("an answer that fails: %v", err)
	}
	if lines, err := ask("all", 10); lines != 10 || err == nil {
		t.Errorf("a caller that has enough: %d lines, %v", lines, err)
	}
}

// A certificate that ends soon is renewed, and not before another node has accepted the new one. Connections go on meanwhile.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	const left = 20 * 24 * time.Hour
	dir := place(t)
	if _, err := pki.Init(dir, pki.Plan{Name: "a", Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}, time.Now().AddDate(-10, 0, 0).Add(left)); err != nil {
		t.Fatal(err)
	}
	soon := func(n *Node) bool { return time.Until(n.Status(t.Context()).CertificateEnds) < 2*left }
	renewed := func(n *Node) {
		t.Helper()
		eventually(t, "a new certificate", func() error {
			if s := n.Status(t.Context()); soon(n) || s.CertificateError != "" {
				return fmt.Errorf("it ends at %v: %s", s.CertificateEnds, s.CertificateError)
			}
			return nil
		})
	}
	old, err := os.ReadFile(filepath.Join(dir, "node.crt"))
	if err != nil {
		t.Fatal(err)
	}
	// A fleet that has another node, which is away.
	folder, err := pki.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRoster(folder.RosterFile())
	if err == nil {
		_, err = r.set("b", daemontest.FreeAddress(t, 2), "abcdefgh", Active)
	}
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, dir)
	eventually(t, "a reason why there is no new certificate", func() error {
		if s := a.Status(t.Context()); !soon(a) || !strings.Contains(s.CertificateError, "node b") {
			return fmt.Errorf("it ends at %v: %s", s.CertificateEnds, s.CertificateError)
		}
		return nil
	})
	if now, err := os.ReadFile(filepath.Join(dir, "node.crt")); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the certificate is another one before it is proven: %v", err)
	}
	c := open(t, join(t, a, "c")) // one that answers
	renewed(a)
	if err := a.leave("b", "test"); err != nil {
		t.Fatal(err)
	}
	shares(t, "renewed", a, c)
	a.Close()
	a = open(t, dir)
	if soon(a) {
		t.Error("the new certificate is not on the disk")
	}
	shares(t, "renewed_again", a, c)
}

// The fleet's authority is renewed on disk while a daemon goes on with the one that it began with: its node says when that ends and what to do, until the
// daemon starts again.
func TestAuthorityThatEndsSoon(t *testing.T) {
	t.Parallel()
	end := time.Now().AddDate(0, 0, 20)
	dir := place(t)
	folder, err := pki.Init(dir, pki.Plan{Name: "a", Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}, end.AddDate(-20, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := folder.Authority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}}, pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue("a", request, time.Now()) // which ends with the authority
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "node.crt"), cert, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, dir)
	eventually(t, "a word to restart the daemon", func() error {
		s := a.Status(t.Context())
		if s.CertificateEnds.Sub(end).Abs() > 48*time.Hour || !strings.Contains(s.CertificateError, "restart it") {
			return fmt.Errorf("it ends at %v: %s", s.CertificateEnds, s.CertificateError)
		}
		return nil
	})
	a.Close()
	a = open(t, dir)
	if s := a.Status(t.Context()); s.CertificateEnds.Before(time.Now().AddDate(9, 0, 0)) || s.CertificateError != "" {
		t.Errorf("after another start it ends at %v: %s", s.CertificateEnds, s.CertificateError)
	}
}

// Two machines run with one folder, as a copied machine does: they do not correct each other without an end, and say so.
func TestTwoProcessesOfOneFolder(t *testing.T) {
	t.Parallel()
	dirA := first(t, "a")
	var mu sync.Mutex
	var said []string
	note := func(_ logging.Level, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	}
	a, err := Open(t.Context(), dirA, Options{Log: note})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	b := open(t, join(t, a, "b"))
	eventually(t, "b in the roster", func() error { return members(a, func(m Member) bool { return m.State == Active }, 2) })
	copied := place(t)
	eventually(t, "a copy of the folder, whose engine is at work", func() error {
		if err := os.RemoveAll(copied); err != nil {
			return err
		}
		return os.CopyFS(copied, os.DirFS(dirA))
	})
	about := filepath.Join(copied, "fleet.json")
	text, err := os.ReadFile(about)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(about, bytes.ReplaceAll(text, []byte(a.Folder().Address), []byte(daemontest.FreeAddress(t, 2))), 0o600); err != nil {
		t.Fatal(err)
	}
	twin, err := Open(t.Context(), copied, Options{Log: note})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(twin.Close)
	eventually(t, "a word about a copy", func() error {
		a.tellNow(t.Context(), true)
		twin.tellNow(t.Context(), true)
		mu.Lock()
		defer mu.Unlock()
		for _, line := range said {
			if strings.Contains(line, "does another machine run with a copy of") {
				return nil
			}
		}
		return fmt.Errorf("it says %q", said)
	})
	if m, _ := b.roster.get("a"); m.Version > 16 {
		t.Errorf("the roster has version %d of a: they correct each other without an end", m.Version)
	}
}

// A folder whose name another one has got meanwhile is out, and does not take the name back.
func TestAFolderThatWasReplaced(t *testing.T) {
	t.Parallel()
	a := open(t, first(t, "a"))
	b := open(t, join(t, a, "b"))
	eventually(t, "b in the roster", func() error { return members(a, func(m Member) bool { return m.State == Active }, 2) })
	lost := b.Folder()
	b.Close()
	if err := a.leave("b", "test"); err != nil {
		t.Fatal(err)
	}
	again := open(t, join(t, a, "b"))
	eventually(t, "the new b in the roster", func() error {
		if m, _ := a.roster.get("b"); m.ID != again.Folder().ID || m.State != Active {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	old := open(t, lost.Dir)
	eventually(t, "the old b to hear that it is out", func() error {
		if !old.isOut() || old.plan().mode != modeNone {
			return errors.New("it has not")
		}
		return nil
	})
	if m, _ := a.roster.get("b"); m.ID != again.Folder().ID || again.isOut() {
		t.Errorf("the name is of %+v", m)
	}
	old.Close()
	if _, err := Open(t.Context(), lost.Dir, Options{}); err == nil || !strings.Contains(err.Error(), "has left its fleet") {
		t.Errorf("it opens again: %v", err)
	}
}

// A certificate that has ended is refused when its node starts, with the reason and the times.
func TestCertificateThatHasEnded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "fleet")
	if _, err := pki.Init(dir, pki.Plan{Name: "a", Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}, time.Now().AddDate(-11, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "is the clock right?") {
		t.Errorf("it opens: %v", err)
		if err == nil {
			n.Close()
		}
	}
}
