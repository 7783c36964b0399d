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
	f     *os.File
	state replay.State // what was received before the attempt that runs
}

// openReplays opens the file, when there is to be one. Without a usable file, or with content of another kind, the client
// logs that and goes on.
func (c *Client) openReplays() {
	if c.opts.ReplayPersist == "" || c.replays.f != nil {
		return
	}
	f, err := os.OpenFile(filepath.Clean(c.opts.ReplayPersist), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		c.log(logging.Warn, "Cannot open --replay-persist file %s for read/write: %v", c.opts.ReplayPersist, osError(err))
		return
	}
	c.replays.f = f
	b := make([]byte, replay.StateSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		c.log(logging.Warn, "Cannot read from --replay-persist file %s: %v", c.opts.ReplayPersist, osError(err))
	}
	var ok bool
	if c.replays.state, ok = replay.ParseState(b[:n]); n > 0 && !ok {
		c.log(logging.Warn, "WARNING: --replay-persist file %s holds no packet ids and is begun anew", c.opts.ReplayPersist)
	}
}

// keepReplays writes how far an attempt has come.
func (c *Client) keepReplays(s replay.State) {
	r := &c.replays
	if r.f == nil || s.Time < r.state.Time || s.Time == r.state.Time && s.ID <= r.state.ID {
		return
	}
	r.state = s
	if _, err := r.f.WriteAt(replay.AppendState(nil, s), 0); err != nil {
		c.log(logging.Warn, "Cannot write to --replay-persist file %s: %v", c.opts.ReplayPersist, osError(err))
	}
}

func (c *Client) closeReplays() {
	if c.replays.f != nil {
		c.replays.f.Close()
		c.replays = replayFile{}
	}
}

// replayInterval is how often the file is written while packets come. Stock writes it once a minute.
const replayInterval = 5 * time.Second

// replayProgress hands the owner how far the data channel of static-key mode has received: its window belongs to the receiver.
type replayProgress struct {
	wanted atomic.Bool
	state  atomic.Pointer[replay.State]
}

// answer runs on the receiver after each batch.
func (m *replayProgress) answer(c *data.Channel) {
	if m.wanted.CompareAndSwap(true, false) {
		s := c.ReplayState()
		m.state.Store(&s)
	}
}

// storeReplays writes how far the attempt has come when it is time, and returns when it is next.
func (a *attempt) storeReplays(now time.Time) time.Time {
	if a.c.replays.f == nil {
		return time.Time{}
	}
	if !now.Before(a.replaysAt) {
		if !a.replaysAt.IsZero() {
			if a.wrap != nil {
				a.c.keepReplays(ctrlwrap.ReplayState(a.wrap))
			} else if s := a.received.state.Load(); s != nil {
				a.c.keepReplays(*s)
			}
		}
		a.received.wanted.Store(true)
		a.replaysAt = now.Add(replayInterval)
	}
	return a.replaysAt
}

// replayState is how far an attempt has received. It runs when the attempt's goroutines are over.
func (a *attempt) replayState() replay.State {
	switch {
	case a.wrap != nil:
		return ctrlwrap.ReplayState(a.wrap)
	case a.channel != nil:
		return a.channel.ReplayState()
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
