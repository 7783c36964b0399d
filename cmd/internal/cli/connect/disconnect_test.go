//go:build unix

package connect

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// The socket of a daemon that is gone goes; one that is served, or is no socket, stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	stale, file := filepath.Join(dir, "a"), filepath.Join(dir, "f")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	sweep(t.Context(), stale)
	if _, err := os.Stat(stale); err != nil {
		t.Errorf("a socket that is served: %v", err)
	}
	l.Close()
	sweep(t.Context(), stale)
	if _, err := os.Stat(stale); err == nil {
		t.Error("the socket of a daemon that is gone is still there")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sweep(t.Context(), file)
	if _, err := os.Stat(file); err != nil {
		t.Errorf("what is no socket: %v", err)
	}
	sweep(t.Context(), filepath.Join(dir, "none"))
}
