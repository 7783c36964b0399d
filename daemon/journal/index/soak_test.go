//go:build soak

package index

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// A user's last 90 days among ten million events are found within 50 ms.
func TestSoakTenMillionEvents(t *testing.T) {
	const events, users, segments = 10_000_000, 20_000, 100
	dir := t.TempDir()
	start := time.Now().AddDate(0, 0, -360)
	step := 360 * 24 * time.Hour / events
	for s := range segments {
		f, err := os.Create(filepath.Join(dir, journal.SegmentName(int64(s+1))))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		for i := s * events / segments; i < (s+1)*events/segments; i++ {
			user := i * 7919 % users
			b, err := json.Marshal(journal.Event{
				Version: 1, Time: start.Add(time.Duration(i) * step), Kind: journal.Kinds[i%len(journal.Kinds)], User: fmt.Sprint("user", user),
				CN: fmt.Sprint("cn", user), Address: fmt.Sprint("192.0.2.", user%250),
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(append(b, '\n')); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f := Filter{User: "user77", Since: time.Now().AddDate(0, 0, -90)}
	begin := time.Now()
	first, err := Query(t.Context(), dir, f)
	if err != nil || len(first) == 0 {
		t.Fatalf("%d events, %v", len(first), err)
	}
	t.Logf("the index is made in %v", time.Since(begin).Round(time.Second))
	best := time.Hour
	for range 10 {
		begin := time.Now()
		list, err := Query(t.Context(), dir, f)
		if err != nil || len(list) != len(first) {
			t.Fatalf("%d events, want %d, %v", len(list), len(first), err)
		}
		best = min(best, time.Since(begin))
	}
	t.Logf("%d of %d events in %v", len(first), events, best)
	if best > 50*time.Millisecond {
		t.Errorf("%v, want at most 50ms", best)
	}
}
