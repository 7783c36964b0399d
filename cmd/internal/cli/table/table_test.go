package table

import (
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

// A table is never wider than its terminal, keeps its first columns, and says where something is cut.
func TestWidth(t *testing.T) {
	head := []string{"CID", "COMMON NAME", "REAL ADDRESS", "RECEIVED", "SINCE"}
	row := func() [][]string {
		return [][]string{{"0", "a-very-long-name-of-a-laptop", "192.0.2.7:40000", "1.2 MB", "2026-11-28 10:00:00"}, {"1", "größe-東京", "-", "-", "-"}}
	}
	for _, width := range []int{0, 20, 30, 40, 60, 80, 120} {
		text := Lines(head, row(), width)
		for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
			if w := runewidth.StringWidth(l); width > 0 && w > width {
				t.Errorf("width %d: %q takes %d", width, l, w)
			}
			if strings.HasSuffix(l, " ") {
				t.Errorf("width %d: %q ends in blanks", width, l)
			}
		}
		if !strings.HasPrefix(text, "CID") {
			t.Errorf("width %d:\n%s", width, text)
		}
		if cut := strings.Contains(text, "…") || !strings.Contains(text, "SINCE"); cut != (width > 0 && width < 81) {
			t.Errorf("width %d: cut %v\n%s", width, cut, text)
		}
	}
	if text := Lines([]string{"A"}, [][]string{{"x\x1b[2Jy"}}, 0); strings.Contains(text, "\x1b") {
		t.Errorf("an escape sequence came through: %q", text)
	}
}

func TestSince(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for want, ago := range map[string]time.Duration{"0s": 0, "12s": 12 * time.Second, "5m12s": 312 * time.Second, "3h4m": 3*time.Hour + 4*time.Minute, "3d4h": 76 * time.Hour} {
		if got := Since(now.Add(-ago), now); got != want {
			t.Errorf("%v: %q, want %q", ago, got, want)
		}
	}
	if got := Since(time.Time{}, now); got != "-" {
		t.Errorf("never: %q", got)
	}
}
