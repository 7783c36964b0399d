package table

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestFlow(t *testing.T) {
	const text = "A paragraph of two lines that are as long as the source likes, and\nno longer.\n\nFlags:\n" +
		"  -a, --addr ADDRESS   management ADDRESS, path, name or pattern of names\n      --json           same as -o json\n\nExamples:\n" +
		"  moongate kill 192.0.2.7:51820 --reason 'maintenance at 18:00'\n"
	for _, tt := range []struct {
		width int
		want  string
	}{
		{0, text},
		{100, text},
		{50, "A paragraph of two lines that are as long as the\nsource likes, and no longer.\n\nFlags:\n" +
			"  -a, --addr ADDRESS   management ADDRESS, path,\n                       name or pattern of names\n      --json           same as -o json\n\nExamples:\n" +
			"  moongate kill 192.0.2.7:51820 --reason\n    'maintenance at 18:00'\n"},
	} {
		if got := Flow(text, tt.width); got != tt.want {
			t.Errorf("%d columns:\n%s\nwant\n%s", tt.width, got, tt.want)
		}
	}
	for width := slimmest; width < 90; width++ {
		for l := range strings.SplitSeq(Flow(text, width), "\n") {
			if n := runewidth.StringWidth(l); n > width && strings.Contains(strings.TrimSpace(l), " ") {
				t.Errorf("%d columns: %q has %d", width, l, n)
			}
		}
	}
}
