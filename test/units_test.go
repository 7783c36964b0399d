package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A drop-in starts moongate with every option that Debian's unit of that name gives the stock daemon.
func TestDropInsKeepTheCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at the units of the stock package")
	}
	dropIns, err := filepath.Glob("../packaging/systemd/*.service.d/moongate.conf")
	if err != nil || len(dropIns) != 3 {
		t.Fatalf("drop-ins %v, %v", dropIns, err)
	}
	for _, path := range dropIns {
		unit := strings.TrimSuffix(filepath.Base(filepath.Dir(path)), ".d")
		stock, ours := command(t, "/lib/systemd/system/"+unit), command(t, path)
		left := slices.Clone(ours[2:])
		for _, word := range stock[1:] {
			if i := slices.Index(left, word); i >= 0 {
				left = slices.Delete(left, i, i+1)
			} else {
				t.Errorf("%s: no %q in %v", unit, word, ours)
			}
		}
		if want := []string{"--journal", "%S/moongate/journal/%i"}; !slices.Equal(left, want) {
			t.Errorf("%s: the drop-in adds %v, want %v", unit, left, want)
		}
	}
}

// command is the last command line that a unit starts.
func command(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the stock package's units are not here: %v", err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "ExecStart="); ok && strings.TrimSpace(value) != "" {
			words = strings.Fields(value)
		}
	}
	if len(words) < 2 {
		t.Fatalf("%s starts nothing", path)
	}
	return words
}
