package daemon

import (
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/internal/inplace"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// keepStatusFile opens the status file and keeps it up to date while an engine runs. The function it returns writes the
// file a last time and closes it. A file that cannot be opened or written is told once, and done without.
func keepStatusFile(path string, every time.Duration, e engine.Engine, log logging.Func) (stop func()) {
	if path == "" {
		return func() {}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NONBLOCK, 0o600) // a pipe that nobody reads is an error
	if err != nil {
		log(logging.Warn, "Note: cannot open %s for WRITE", path)
		return func() {}
	}
	told := false
	var last []byte
	write := func() {
		var err error
		last, err = writeStatus(f, e, last)
		if err != nil && !told {
			log(logging.Warn, "WARNING: status file: %v", err)
		}
		told = err != nil
	}
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if every <= 0 {
			<-done
			return
		}
		write() // readers need not wait for the first interval
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				write()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-finished
		write()
		f.Close()
	}
}

// writeStatus rewrites the file in place: readers that hold it open go on. On a full disk it holds what was written last, which is
// returned.
func writeStatus(f *os.File, e engine.Engine, last []byte) ([]byte, error) {
	lines, _ := e.Status(0)
	text := []byte(strings.Join(lines, "\n") + "\n")
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() { // a device, or a pipe
		_ = f.SetWriteDeadline(time.Now().Add(time.Second))
		_, err := f.Write(text)
		return nil, err
	}
	if err := inplace.Rewrite(f, last, text); err != nil {
		return last, err
	}
	return text, nil
}
