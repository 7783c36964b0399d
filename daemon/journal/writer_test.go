package journal

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, cfg Config) *Writer {
	t.Helper()
	w, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func count(t *testing.T, dir string) (events, segments int) {
	t.Helper()
	list, err := Segments(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		b, err := os.ReadFile(filepath.Join(dir, SegmentName(s.Number)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var e Event
			if !bytes.HasSuffix(line, []byte("\n")) {
				continue // cut off
			}
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			events++
		}
	}
	return events, len(list)
}

func TestRecordNeverWaits(t *testing.T) {
	dir := t.TempDir()
	w := open(t, Config{Dir: dir, Queue: 10, Batch: time.Hour})
	for range 25 {
		w.Record(Event{Kind: KindLogin})
	}
	if w.Dropped() != 15 {
		t.Errorf("%d dropped, want 15", w.Dropped())
	}
	w.Close()
	if n, _ := count(t, dir); n != 11 { // with the event that tells of the lost ones
		t.Errorf("%d events on the disk, want 11", n)
	}
	var none *Writer
	none.Record(Event{}) // without a journal
	none.Close()
}

// A directory that cannot be written costs one line and the events, and is used again once it can.
func TestDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	var lines atomic.Int32
	w := open(t, Config{Dir: dir, Batch: 5 * time.Millisecond, Log: func(string, ...any) { lines.Add(1) }})
	block := filepath.Join(dir, SegmentName(1)) // no file can be made there, also for root
	if err := os.Mkdir(block, 0o750); err != nil {
		t.Fatal(err)
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	for n := range uint64(3) {
		w.Record(Event{Kind: KindLogin})
		until("the event is not counted", func() bool { return w.Dropped() == n+1 })
	}
	if lines.Load() != 1 {
		t.Errorf("%d lines, want 1", lines.Load())
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	w.Record(Event{Kind: KindLogin})
	until("the journal does not come back", func() bool { return lines.Load() == 2 })
	w.Close()
	if n, _ := count(t, dir); n != 2 || w.Dropped() != 3 { // with the event that tells of the lost ones
		t.Errorf("%d events and %d dropped, want 2 and 3", n, w.Dropped())
	}
}

func TestSegmentsAreBounded(t *testing.T) {
	dir := t.TempDir()
	wrote := make(chan struct{}, 1)
	w := open(t, Config{Dir: dir, Segment: 1 << 10, Keep: 4 << 10, Batch: time.Millisecond, Queue: 1000, Wrote: func() { wrote <- struct{}{} }})
	for range 30 {
		w.Record(Event{Kind: KindLogin, User: strings.Repeat("x", 400)})
		<-wrote // a batch each: one that is larger than a segment makes a larger segment
	}
	w.Close()
	list, err := Segments(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, s := range list {
		total += s.Info.Size()
	}
	if total > 4<<10 || len(list) < 2 || list[0].Number == 1 {
		t.Errorf("%d segments from %d on, %d bytes", len(list), list[0].Number, total)
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, s := range list {
		if err := os.Chtimes(filepath.Join(dir, SegmentName(s.Number)), old, old); err != nil {
			t.Fatal(err)
		}
	}
	w = open(t, Config{Dir: dir, Age: time.Hour})
	w.Record(Event{Kind: KindLogin})
	w.Close()
	if n, segments := count(t, dir); n != 1 || segments != 1 {
		t.Errorf("%d events in %d segments are left of what is too old", n, segments)
	}
}

// A daemon that gives up root goes on to make segments in its directory, and in no directory that is not the journal's alone.
func TestGivenToAnotherUser(t *testing.T) {
	const nobody = 65534
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if dir := os.Getenv("JOURNAL_GIVEN"); dir != "" {
		w, err := Open(Config{Dir: dir, Segment: 1, Batch: time.Millisecond, User: nobody})
		if err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := Give(root, nobody); err != nil {
			t.Fatal(err)
		}
		w.Record(Event{Kind: KindLogin}) // between the two, as of a daemon that starts
		for begin := time.Now(); ; time.Sleep(time.Millisecond) {
			if n, _ := count(t, dir); n == 2 {
				break
			} else if time.Since(begin) > 10*time.Second {
				t.Fatalf("%d events", n)
			}
		}
		if err := syscall.Setgid(nobody); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setuid(nobody); err != nil {
			t.Fatal(err)
		}
		w.Record(Event{Kind: KindStart})
		time.Sleep(50 * time.Millisecond)
		w.Record(Event{Kind: KindStop})
		w.Close()
		if w.Dropped() > 0 {
			t.Errorf("%d events are lost", w.Dropped())
		}
		return
	}
	dir := t.TempDir()
	for _, up := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(up, 0o711); err != nil { // the way to it is open, as in /var/lib
			t.Fatal(err)
		}
	}
	dir = filepath.Join(dir, "journal")
	const readers = 4321
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 0, readers); err != nil {
		t.Fatal(err)
	}
	w := open(t, Config{Dir: dir}) // an earlier run, as root
	w.Record(Event{Kind: KindStart})
	w.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestGivenToAnotherUser$", "-test.v") //nolint:gosec // this test
	cmd.Env = append(os.Environ(), "JOURNAL_GIVEN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n, segments := count(t, dir); n < 3 || segments < 3 {
		t.Errorf("%d events in %d segments", n, segments)
	}
	for n := int64(2); n <= 3; n++ { // made before the drop and after it
		var made syscall.Stat_t
		if err := syscall.Stat(filepath.Join(dir, SegmentName(n)), &made); err != nil || made.Uid != nobody || made.Gid != readers || made.Mode&0o777 != 0o640 {
			t.Errorf("segment %d belongs to %d:%d with mode %o, %v", n, made.Uid, made.Gid, made.Mode, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "mail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := Give(root, 0); err == nil || !strings.Contains(err.Error(), "mail") {
		t.Errorf("a directory with something else in it is given away: %v", err)
	}
}

// A kill loses at most a second of events, here of one each millisecond.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("JOURNAL_VICTIM"); dir != "" {
		w, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for {
			w.Record(Event{Kind: KindLogin})
			time.Sleep(time.Millisecond)
		}
	}
	best := time.Hour
	for range 3 { // a busy disk makes one attempt late
		best = min(best, lostByKill(t))
		if best <= time.Second {
			return
		}
	}
	t.Errorf("the last event is %v older than the kill", best)
}

// lostByKill kills a writer in the midst of events and returns how old the last one is on the disk.
func lostByKill(t *testing.T) time.Duration {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledWriter$") //nolint:gosec // this test
	cmd.Env = append(os.Environ(), "JOURNAL_VICTIM="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := func() (at time.Time) {
		b, err := os.ReadFile(filepath.Join(dir, SegmentName(1)))
		if err != nil {
			return at
		}
		for line := range bytes.Lines(b) {
			var e Event
			if json.Unmarshal(line, &e) == nil && e.Time.After(at) {
				at = e.Time
			}
		}
		return at
	}
	for end := time.Now().Add(15 * time.Second); last().IsZero(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it writes nothing")
		}
	}
	time.Sleep(700 * time.Millisecond) // between two batches somewhere
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	return killed.Sub(last())
}
