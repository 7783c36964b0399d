//go:build !nofleet

package jet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alone starts an engine that is no cluster.
func alone(t *testing.T, dir string) *Engine {
	t.Helper()
	e, err := Start(t.Context(), Config{Name: "a", Dir: dir, Log: daemontest.LogTo(t, 6)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	eventually(t, "a store", func() error { _, err := e.Store().Head(t.Context()); return err })
	return e
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	daemontest.Eventually(t, 30*time.Second, what, try)
}

func TestStoreAlone(t *testing.T) {
	t.Parallel()
	testStore(t, alone(t, t.TempDir()).Store())
}

// testStore holds an empty store to the contract of fleet.Store.
func testStore(t *testing.T, s fleet.Store) {
	t.Helper()
	ctx := t.Context()
	watchCtx, stop := context.WithCancel(ctx)
	changes, below := s.Watch(watchCtx, ""), s.Watch(watchCtx, "node")
	head := uint64(0)
	wantHead := func() {
		t.Helper()
		if h, err := s.Head(ctx); err != nil || h != head {
			t.Errorf("the head is %d, and not %d: %v", h, head, err)
		}
	}
	wantHead()
	if _, err := s.Get(ctx, "node.a"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("get of nothing: %v", err)
	}
	write := func(what string, rev uint64, err error) {
		t.Helper()
		head++
		if err != nil || rev != head {
			t.Fatalf("%s: revision %d, and not %d: %v", what, rev, head, err)
		}
	}
	conflict := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	rev, err := s.Create(ctx, "node.a", []byte("one"))
	write("create", rev, err)
	_, err = s.Create(ctx, "node.a", []byte("again"))
	conflict("create again", err)
	rev, err = s.Update(ctx, "node.a", []byte("two"), 1)
	write("update", rev, err)
	_, err = s.Update(ctx, "node.a", []byte("late"), 1)
	conflict("update of an old revision", err)
	_, err = s.Update(ctx, "node.b", []byte("none"), 1)
	conflict("update of nothing", err)
	_, err = s.Update(ctx, "node.b", []byte("none"), 0)
	conflict("update of revision 0", err)
	conflict("delete of an old revision", s.Delete(ctx, "node.a", 1))
	conflict("delete of nothing", s.Delete(ctx, "node.b", 2))
	conflict("delete of revision 0", s.Delete(ctx, "node.b", 0))
	wantHead() // what was refused is no revision
	r, err := s.Get(ctx, "node.a")
	if err != nil || string(r.Value) != "two" || r.Revision != 2 || r.Key != "node.a" {
		t.Errorf("get: %+v %v", r, err)
	}
	rev, err = s.Create(ctx, "node.user=2d_X", nil)
	write("create of an empty value", rev, err)
	rev, err = s.Create(ctx, "nodes", []byte("no segment of node"))
	write("create beside", rev, err)
	rev, err = s.Create(ctx, "lease.10.1", []byte(strings.Repeat("x", valueMost)))
	write("create of the longest value", rev, err)
	list := func(prefix string, want ...string) {
		t.Helper()
		got, err := s.List(ctx, prefix)
		var keys []string
		for _, r := range got {
			keys = append(keys, r.Key)
		}
		if fmt.Sprint(keys) != fmt.Sprint(want) || err != nil {
			t.Errorf("list of %q: %v, and not %v: %v", prefix, keys, want, err)
		}
	}
	list("node", "node.a", "node.user=2d_X")
	list("", "lease.10.1", "node.a", "node.user=2d_X", "nodes")
	list("nothing")
	write("delete", head+1, s.Delete(ctx, "node.a", 2))
	if _, err := s.Get(ctx, "node.a"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("get of what is deleted: %v", err)
	}
	list("node", "node.user=2d_X")
	conflict("update of what is deleted", func() error { _, err := s.Update(ctx, "node.a", nil, 2); return err }())
	rev, err = s.Create(ctx, "node.a", []byte("three"))
	write("create of what is deleted", rev, err)

	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ü", strings.Repeat("x", keyMost+1)} {
		if _, err := s.Create(ctx, bad, nil); err == nil || errors.Is(err, fleet.ErrConflict) {
			t.Errorf("create of key %q: %v", bad, err)
		}
		if _, err := s.Get(ctx, bad); err == nil || errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("get of key %q: %v", bad, err)
		}
	}
	if _, err := s.Create(ctx, "big", make([]byte, valueMost+1)); err == nil {
		t.Error("a value may be too long")
	}
	wantHead()

	want := []string{"1 node.a one", "2 node.a two", "3 node.user=2d_X ", "4 nodes no segment of node", "5 lease.10.1 " + strings.Repeat("x", valueMost), "6 node.a gone", "7 node.a three"}
	for _, w := range want {
		if got := next(t, changes); got != w {
			t.Errorf("change %.60q, and not %.60q", got, w)
		}
	}
	for _, w := range []string{want[0], want[1], want[2], want[5], want[6]} {
		if got := next(t, below); got != w {
			t.Errorf("change below node %.60q, and not %.60q", got, w)
		}
	}
	stop()
	eventually(t, "end of the watch", func() error {
		select {
		case _, open := <-changes:
			if !open {
				return nil
			}
		default:
		}
		return errors.New("open")
	})
}

func next(t *testing.T, c <-chan fleet.Change) string {
	t.Helper()
	select {
	case c := <-c:
		if c.Deleted {
			return fmt.Sprint(c.Revision, " ", c.Key, " gone")
		}
		return fmt.Sprint(c.Revision, " ", c.Key, " ", string(c.Value))
	case <-time.After(15 * time.Second):
		return "none"
	}
}

// Many writers of one key: every revision is somebody's.
func TestCompareAndSet(t *testing.T) {
	t.Parallel()
	s := alone(t, t.TempDir()).Store()
	const writers, each = 8, 20
	var won sync.Map
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				for {
					r, err := s.Get(t.Context(), "n")
					var rev uint64
					if errors.Is(err, fleet.ErrNotFound) {
						rev, err = s.Create(t.Context(), "n", []byte{1})
					} else if err == nil {
						rev, err = s.Update(t.Context(), "n", append(r.Value, 1), r.Revision)
					}
					if err == nil {
						if other, loaded := won.LoadOrStore(rev, w); loaded {
							t.Errorf("revision %d is of %d and %d", rev, w, other)
						}
						break
					}
					if !errors.Is(err, fleet.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if r, err := s.Get(t.Context(), "n"); err != nil || len(r.Value) != writers*each {
		t.Errorf("%d writes, and not %d: %v", len(r.Value), writers*each, err)
	}
}

// What a node alone has written is there after it starts again, and a folder belongs to one engine.
func TestRestartAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := alone(t, dir)
	if _, err := e.Store().Create(t.Context(), "node.a", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if _, err := e.Store().Get(t.Context(), "node.a"); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("get of a closed store: %v", err)
	}
	if _, err := e.Store().Create(t.Context(), "node.b", nil); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("create in a closed store: %v", err)
	}
	r, err := alone(t, dir).Store().Get(t.Context(), "node.a")
	if err != nil || string(r.Value) != "kept" {
		t.Errorf("after a restart: %+v %v", r, err)
	}
}

// A list of thousands is complete, and as quick as a start can bear.
func TestLongList(t *testing.T) {
	t.Parallel()
	s := alone(t, t.TempDir()).Store()
	const records = 3000
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for n := range records / 50 {
				if _, err := s.Create(t.Context(), fmt.Sprintf("lease.%d", w*records/50+n), []byte("{}")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	begin := time.Now()
	got, err := s.List(t.Context(), "lease")
	if err != nil || len(got) != records {
		t.Fatalf("%d records, and not %d: %v", len(got), records, err)
	}
	t.Logf("a list of %d: %v", records, time.Since(begin))
}
