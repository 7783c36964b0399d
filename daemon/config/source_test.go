package config

import (
	"os"
	"path/filepath"
	"testing"
)

// A byte order mark at the start of a file is no part of its text, for passwords and keys alike.
func TestSourceByteOrderMark(t *testing.T) {
	for in, want := range map[string]string{
		"\ufeffuser\npass\n": "user\npass\n", "user\n\ufeffpass\n": "user\n\ufeffpass\n", "\ufeff": "", "": "", "\xef\xbbx": "\xef\xbbx",
	} {
		path := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Source{Path: path}.Load()
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
