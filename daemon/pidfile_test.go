package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The file with the process id goes when the daemon does, and nothing else that is at its path.
func TestPIDFile(t *testing.T) {
	for _, tt := range []struct {
		name         string
		before, then func(t *testing.T, path string)
		stays        bool
	}{
		{name: "new"},
		{name: "old one there", before: put},
		{name: "through a link", before: func(t *testing.T, path string) { link(t, path+".at", path) }},
		{name: "device", before: func(t *testing.T, path string) { link(t, os.DevNull, path) }, stays: true},
		{name: "replaced", then: func(t *testing.T, path string) { put(t, path+".new"); move(t, path+".new", path) }, stays: true},
		{name: "removed", then: func(t *testing.T, path string) { _ = os.Remove(path) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			if tt.before != nil {
				tt.before(t, path)
			}
			p, err := writePID(path)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) == "" && tt.name != "device" {
				t.Errorf("the file holds %q, %v", text, err)
			}
			if tt.then != nil {
				tt.then(t, path)
			}
			p.remove()
			if _, err := os.Lstat(path); (err == nil) != tt.stays {
				t.Errorf("the file is there: %v, want %v", err == nil, tt.stays)
			}
		})
	}
}

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
