package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// pidFile is the absolute path of the file with the process id, "" without one.
type pidFile string

// writePID writes the number of this process to path.
func writePID(path string) (pidFile, error) {
	if path == "" {
		return "", nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil { //nolint:gosec // everybody may know
		return "", fmt.Errorf("open pid file %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	return pidFile(abs), nil
}

// remove removes the file; after a chroot it cannot be found, as with stock.
func (f pidFile) remove() {
	if f != "" {
		_ = os.Remove(string(f))
	}
}
