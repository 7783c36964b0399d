package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/internal/replay"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// replayFile is the file of replay-persist: how far packet ids were received, of the control wrapping or of the static
// key. It is read at the start, and written while an attempt runs and at its end: after a crash little can be replayed. One open
// file for all attempts, so that it can still be written without privileges or under another root.
type replayFile struct {
	*report
	name  string
	f     *os.File
	state replay.State // what was received before the attempt that runs
}

// open opens the file with a name, when there is to be one. Without a usable file, or with content of another kind, the client
// logs that and goes on.
func (r *replayFile) open(name string) {
	if name == "" || r.f != nil {
		return
	}
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		r.log(logging.Warn, "Cannot open --replay-persist file %s for read/write: %v", name, osError(err))
		return
	}
	r.name, r.f = name, f
	b := make([]byte, replay.StateSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		r.log(logging.Warn, "Cannot read from --replay-persist file %s: %v", name, osError(err))
	}
	var ok bool
	if r.state, ok = replay.ParseState(b[:n]); n > 0 && !ok {
		r.log(logging.Warn, "WARNING: --replay-persist file %s holds no packet ids and is begun anew", name)
	}
}

// keep writes how far an attempt has come.
func (r *replayFile) keep(s replay.State) {
	if r.f == nil || s.Time < r.state.Time || s.Time == r.state.Time && s.ID <= r.state.ID {
		return
	}
	r.state = s
	if _, err := r.f.WriteAt(replay.AppendState(nil, s), 0); err != nil {
		r.log(logging.Warn, "Cannot write to --replay-persist file %s: %v", r.name, osError(err))
	}
}

func (r *replayFile) close() {
	if r.f != nil {
		r.f.Close()
		r.f, r.state = nil, replay.State{}
	}
}

// replayInterval is how often the file is written while packets come. Stock writes it once a minute.
const replayInterval = 5 * time.Second

// replayProgress hands the owner how far the data channel of static-key mode has received: its window belongs to the receiver.
type replayProgress struct {
	wanted atomic.Bool
	state  atomic.Pointer[replay.State]
	at     time.Time // when the file is written next
}

// answer runs on the receiver after each batch.
func (m *replayProgress) answer(c *data.Channel) {
	if m.wanted.CompareAndSwap(true, false) {
		s := c.ReplayState()
		m.state.Store(&s)
	}
}

// store writes how far the attempt has come when it is time, and returns when it is next. wrap is nil with a static key.
func (m *replayProgress) store(f *replayFile, wrap ctrlwrap.Wrapper, now time.Time) time.Time {
	if f.f == nil {
		return time.Time{}
	}
	if !now.Before(m.at) {
		if !m.at.IsZero() {
			if wrap != nil {
				f.keep(ctrlwrap.ReplayState(wrap))
			} else if s := m.state.Load(); s != nil {
				f.keep(*s)
			}
		}
		m.wanted.Store(true)
		m.at = now.Add(replayInterval)
	}
	return m.at
}

// replayState is how far an attempt has received, when its goroutines are over.
func replayState(wrap ctrlwrap.Wrapper, channel *data.Channel) replay.State {
	switch {
	case wrap != nil:
		return ctrlwrap.ReplayState(wrap)
	case channel != nil:
		return channel.ReplayState()
	default:
		return replay.State{}
	}
}

// osError is a file error in stock's words, without operation and path: "Is a directory (errno=21)".
func osError(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return err.Error()
	}
	text := no.Error()
	return fmt.Sprintf("%s%s (errno=%d)", strings.ToUpper(text[:1]), text[1:], int(no))
}
