package repl

import (
	"bytes"
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
	rest, raw := strings.CutPrefix(trimmed, "raw ")
	if raw && !storable(rest) {
		return false
	}
	for _, word := range []string{"password", "username"} {
		if strings.HasPrefix(trimmed, word) {
			return false
		}
	}
	return true
}

// maxHistory is how much of the end of the history file is read.
const maxHistory = 256 << 10

// loadHistory hands the file's newest lines to read. A file that is not there is no error.
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
	if st, err := f.Stat(); err == nil && st.Size() > maxHistory {
		if _, err := f.Seek(-maxHistory, io.SeekEnd); err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(f, maxHistory))
		if err != nil {
			return err
		}
		_, whole, _ := bytes.Cut(b, []byte("\n"))
		_, err = read(bytes.NewReader(whole))
		return err
	}
	_, err = read(f)
	return err
}

// appendHistory adds a line with one write, which the system does not mix with another prompt's. The file is readable by its owner
// alone.
func appendHistory(path, line string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
