package repl

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/nearest"
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

// storable reports whether a line may be remembered: not when it could hold a secret, be it for another command to send, or misspelt.
func storable(line string) bool {
	trimmed := strings.TrimLeft(line, " \"'")
	if trimmed == "" || client.Redact(line) != line || strings.HasPrefix(trimmed, "password") || strings.HasPrefix(trimmed, "username") {
		return false
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \"'", r) })
	for _, w := range words[:len(words)-1] { // a secret stands behind it
		if w = strings.ToLower(w); hides(w) || !strings.HasPrefix(w, "-") && nearest.Name(w, []string{"password", "username"}, 2) != "" {
			return false
		}
	}
	return true
}

// hides reports whether what follows a management command may be a secret.
func hides(command string) bool {
	c := mgmt.Lookup(command)
	return c != nil && c.Hides != mgmt.HidesNothing
}

// shown is a line as it may be written down.
func shown(line string) string {
	if redacted := client.Redact(line); redacted != line || storable(line) {
		return redacted
	}
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return word + " [...]"
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
