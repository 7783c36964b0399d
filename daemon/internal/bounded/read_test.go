//go:build unix

package bounded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		path   string
		limit  int
		writes bool // the test, to the pipe
		read   string
		err    error // of ReadFile
		now    error // of ReadNow
	}{
		{name: "file", path: at("file"), limit: 4, read: "text"},
		{name: "too long", path: at("file"), limit: 3, err: ErrLong, now: ErrLong},
		{name: "without end", path: "/dev/zero", limit: 1 << 20, err: ErrLong, now: ErrLong},
		{name: "nothing", path: os.DevNull, limit: 4},
		{name: "pipe", path: at("pipe"), limit: 4, writes: true, read: "text", now: ErrPipe},
		{name: "missing", path: at("missing"), limit: 4, err: os.ErrNotExist, now: os.ErrNotExist},
		{name: "folder", path: dir, limit: 4, err: syscall.EISDIR, now: syscall.EISDIR},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.writes {
				go func() { _ = os.WriteFile(tt.path, []byte("text"), 0) }()
			}
			if b, err := ReadFile(tt.path, tt.limit); string(b) != tt.read || !errors.Is(err, tt.err) {
				t.Errorf("ReadFile: %q, %v; want %q, %v", b, err, tt.read, tt.err)
			}
			if b, err := ReadNow(tt.path, tt.limit); !errors.Is(err, tt.now) || err == nil && string(b) != tt.read {
				t.Errorf("ReadNow: %q, %v; want %q, %v", b, err, tt.read, tt.now)
			}
		})
	}
}

// A pipe that nobody writes to is given up, and nothing is left of the wait.
func TestPipeWithoutWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	old := writerWait
	writerWait = 50 * time.Millisecond
	defer func() { writerWait = old }()
	if _, err := ReadFile(path, 4); !errors.Is(err, ErrNoWriter) {
		t.Errorf("got %v, want %v", err, ErrNoWriter)
	}
}
