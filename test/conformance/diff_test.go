package conformance

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hunk is a place where two transcripts differ, with the number of lines before it in the first.
type hunk struct {
	at          int
	stock, ours []string
}

// diff returns the hunks of a shortest edit script, a longest common subsequence by the book: transcripts have hundreds
// of lines.
func diff(stock, ours []string) (out []hunk) {
	n, m := len(stock), len(ours)
	long := make([][]int, n+1) // long[i][j]: common lines of stock[i:] and ours[j:]
	for i := range long {
		long[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if stock[i] == ours[j] {
				long[i][j] = long[i+1][j+1] + 1
			} else {
				long[i][j] = max(long[i+1][j], long[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < n || j < m; {
		if i < n && j < m && stock[i] == ours[j] {
			i, j = i+1, j+1
			continue
		}
		h := hunk{at: i}
		for (i < n || j < m) && (i == n || j == m || stock[i] != ours[j]) {
			if j == m || i < n && long[i+1][j] >= long[i][j+1] {
				h.stock = append(h.stock, stock[i])
				i++
			} else {
				h.ours = append(h.ours, ours[j])
				j++
			}
		}
		out = append(out, h)
	}
	return out
}

// unexpected takes declared differences out of hunks, in order, and returns what is left on either side.
func unexpected(hunks []hunk, declared []difference) (rest []hunk, missing []difference) {
	for _, h := range hunks {
		if len(declared) > 0 && slices.EqualFunc(h.stock, declared[0].stock, sameLine) && slices.EqualFunc(h.ours, declared[0].ours, sameLine) {
			declared = declared[1:]
			continue
		}
		rest = append(rest, h)
	}
	return rest, declared
}

func sameLine(said, declared string) bool { return canonical(said) == canonical(declared) }

// canonical is a line of either release in one form: declared differences are written as 2.6 has them.
func canonical(line string) string {
	line = plain(line)
	for _, f := range forms {
		line = f.re.ReplaceAllString(line, f.to)
	}
	return line
}

var forms = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`(Management Interface Version )\d`), "${1}<n>"},
	{regexp.MustCompile(`(unknown command) \[.*\],`), "$1,"},
	{regexp.MustCompile(`\b(IV_(?:VER|PROTO)=).*`), "${1}<n>"}, // of the peer
}

// report prints a hunk with the lines around it.
func report(h hunk, stock []string) string {
	var b strings.Builder
	for _, l := range stock[max(0, h.at-4):h.at] {
		b.WriteString("   " + l + "\n")
	}
	for _, l := range h.stock {
		b.WriteString(" - " + l + "\n")
	}
	for _, l := range h.ours {
		b.WriteString(" + " + l + "\n")
	}
	after := h.at + len(h.stock)
	for _, l := range stock[after:min(len(stock), after+2)] {
		b.WriteString("   " + l + "\n")
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	split := func(s string) []string { return strings.Fields(s) }
	for _, c := range []struct {
		stock, ours string
		want        []hunk
	}{
		{"a b c", "a b c", nil},
		{"a b c", "a c", []hunk{{at: 1, stock: split("b")}}},
		{"a c", "a b c", []hunk{{at: 1, ours: split("b")}}},
		{"a b c d", "a x c y", []hunk{{1, split("b"), split("x")}, {3, split("d"), split("y")}}},
		{"", "a", []hunk{{at: 0, ours: split("a")}}},
	} {
		if d := cmp.Diff(c.want, diff(split(c.stock), split(c.ours)), cmp.AllowUnexported(hunk{})); d != "" {
			t.Errorf("%q to %q: %s", c.stock, c.ours, d)
		}
	}
}

func TestUnexpected(t *testing.T) {
	x, y := hunk{1, []string{"b"}, []string{"x"}}, hunk{3, nil, []string{"y"}}
	dx := difference{"row", "", []string{"b"}, []string{"x"}}
	if rest, missing := unexpected([]hunk{x, y}, []difference{dx}); len(rest) != 1 || rest[0].at != 3 || len(missing) != 0 {
		t.Errorf("left %v, missing %v", rest, missing)
	}
	if rest, missing := unexpected([]hunk{y}, []difference{dx}); len(rest) != 1 || len(missing) != 1 {
		t.Errorf("left %v, missing %v: a declared difference that is gone must be told", rest, missing)
	}
}
