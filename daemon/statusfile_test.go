//go:build unix

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// reporting is an engine with a status, and nothing else.
type reporting struct{ engine.Engine }

func (reporting) Status(int) (lines []string, ok bool) { return []string{"status", "END"}, true }

// A status file may be a device or a pipe that is read; a pipe that nobody reads is done without, and holds nobody up.
func TestStatusFileThatIsNone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	note := func(_ logging.Level, format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	keepStatusFile(pipe, 0, reporting{}, note)()
	if want := []string{"Note: cannot open " + pipe + " for WRITE"}; !slices.Equal(lines, want) {
		t.Errorf("with a pipe that nobody reads the log has %q, want %q", lines, want)
	}
	lines = nil
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, path := range []string{os.DevNull, pipe} {
		keepStatusFile(path, 0, reporting{}, note)()
	}
	if len(lines) > 0 {
		t.Errorf("the log has %q", lines)
	}
	b := make([]byte, 64)
	if n, err := reader.Read(b); string(b[:n]) != "status\nEND\n" {
		t.Errorf("the reader got %q, %v", b[:n], err)
	}
}
