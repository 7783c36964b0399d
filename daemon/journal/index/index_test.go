package index

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fill writes n events, one a minute, in small segments.
func fill(t *testing.T, dir string, from, n int) {
	t.Helper()
	wrote := make(chan struct{}, 1)
	w, err := journal.Open(journal.Config{Dir: dir, Segment: 4 << 10, Queue: n + 1, Batch: 10 * time.Millisecond, Wrote: func() {
		select {
		case wrote <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < from+n; i++ {
		w.Record(journal.Event{
			Time: begin.Add(time.Duration(i) * time.Minute), Kind: journal.Kinds[i%3+2], User: fmt.Sprint("user", i%7), CN: fmt.Sprint("cn", i%5),
			Address: fmt.Sprint("192.0.2.", i%11), CID: new(uint64(i)),
		})
		if i%50 == 0 {
			<-wrote // several batches, so several segments
		}
	}
	w.Close()
	if w.Dropped() > 0 {
		t.Fatalf("%d events are lost", w.Dropped())
	}
}

var filters = map[string]Filter{
	"all":                {},
	"user":               {User: "user3"},
	"nobody":             {User: "user"},
	"common name":        {CN: "cn2"},
	"address":            {Address: "192.0.2.4"},
	"kind":               {Kinds: []string{journal.KindLogin}},
	"from a time":        {Since: begin.Add(300 * time.Minute)},
	"before a time":      {Until: begin.Add(20 * time.Minute)},
	"user, kind, window": {User: "user1", Kinds: []string{journal.KindConnect, journal.KindRenewal}, Since: begin.Add(time.Hour), Until: begin.Add(5 * time.Hour)},
}

func collected(f func(take func(*journal.Event) error) error) (list []journal.Event, err error) {
	err = f(func(e *journal.Event) error {
		list = append(list, *e)
		return nil
	})
	return list, err
}

// check compares the answers with those of reading everything.
func check(t *testing.T, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, f := range filters {
		want, err := collected(func(take func(*journal.Event) error) error { return scan(t.Context(), root, f, take) })
		if err != nil {
			t.Fatal(err)
		}
		if name != "nobody" && len(want) == 0 {
			t.Fatalf("%s: the test has no event for it", name)
		}
		var got []journal.Event
		if built {
			got, err = collected(func(take func(*journal.Event) error) error { return indexed(t.Context(), root, dir, f, take) })
		} else {
			got, err = Query(t.Context(), dir, f)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestIndexAnswersAsTheSegments(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 0, 500)
	check(t, dir)
	fill(t, dir, 500, 100) // a second run of the daemon
	check(t, dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := journal.Segments(root.FS())
	if err != nil || len(list) < 5 {
		t.Fatalf("%d segments, %v", len(list), err)
	}
	if err := os.Remove(filepath.Join(dir, journal.SegmentName(list[0].Number))); err != nil {
		t.Fatal(err)
	}
	first := Filter{Until: begin.Add(time.Minute)} // at least one event is in the first segment
	if got, err := Query(t.Context(), dir, first); err != nil || len(got) != 0 {
		t.Errorf("events of a segment that was removed: %v %v", got, err)
	}
}

// Whatever becomes of the index, the answer is the same.
func TestBrokenIndexIsMadeAnew(t *testing.T) {
	if !built {
		t.Skip("this build has no index")
	}
	dir := t.TempDir()
	fill(t, dir, 0, 300)
	f := Filter{User: "user3", Since: begin.Add(time.Hour)}
	want, err := Query(t.Context(), dir, f)
	if err != nil || len(want) == 0 {
		t.Fatalf("%d events, %v", len(want), err)
	}
	path := filepath.Join(dir, File)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, len(whole))
	half := append(append([]byte(nil), whole[:len(whole)/2]...), zeros[len(whole)/2:]...)
	for name, content := range map[string][]byte{
		"deleted": nil, "empty": {}, "text": []byte("not a database\n"), "cut off": whole[:len(whole)/2], "zeros": zeros, "half zeros": half,
		"header only": whole[:100],
	} {
		for _, ext := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + ext); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if content != nil {
			if err := os.WriteFile(path, content, 0o640); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Query(t.Context(), dir, f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	// and where none can be made: a directory stands in its place
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o750); err != nil {
		t.Fatal(err)
	}
	if got, err := Query(t.Context(), dir, f); err != nil || !cmp.Equal(want, got) {
		t.Errorf("without an index: %d events, want %d, %v", len(got), len(want), err)
	}
}
