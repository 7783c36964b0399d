package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// pidFile is the file with the process id. The zero value is none.
type pidFile struct {
	path string // absolute
	made fs.FileInfo
}

// writePID writes the number of this process to path.
func writePID(path string) (p pidFile, err error) {
	if path == "" {
		return pidFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK, 0o644) //nolint:gosec // no secret
	if err != nil {
		return pidFile{}, fmt.Errorf("Open error on pid file %s: %w", path, systemError(err)) //nolint:staticcheck // stock's line
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return pidFile{}, fmt.Errorf("Close error on pid file %s: %w", path, systemError(err)) //nolint:staticcheck // stock's line
	}
	if p.made, err = f.Stat(); err != nil {
		return pidFile{}, fmt.Errorf("pid file %s: %w", path, err)
	}
	if p.path, err = filepath.Abs(path); err != nil {
		p.path = path
	}
	return p, nil
}

// remove removes the file, unless another one took its place. What is no regular file is not ours to remove: /dev/null in the
// place of a file is there for all. After a chroot the file cannot be found, as with stock.
func (p pidFile) remove() {
	if p.made == nil || !p.made.Mode().IsRegular() {
		return
	}
	if at, err := os.Stat(p.path); err == nil && os.SameFile(at, p.made) {
		_ = os.Remove(p.path)
	}
}
