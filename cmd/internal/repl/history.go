package repl

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// DefaultHistory is moongate/history in the user's state folder.
func DefaultHistory(getenv func(string) string) string {
	dir := getenv("XDG_STATE_HOME")
	if dir == "" {
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "moongate", "history")
}

// storable reports whether a line may be remembered: not when it could hold a secret.
func storable(line string) bool {
	trimmed := strings.TrimLeft(line, " \"'")
	if trimmed == "" || client.Redact(line) != line {
		return false
	}
	for _, word := range []string{"password", "username"} {
		if strings.HasPrefix(trimmed, word) {
			return false
		}
	}
	return true
}

// loadHistory hands the file's lines to read. A file that is not there is no error.
func loadHistory(path string, read func(io.Reader) (int, error)) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	_, err = read(f)
	return err
}

// saveHistory replaces the file, readable by its owner alone.
func saveHistory(path string, write func(io.Writer) (int, error)) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".history-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
