package daemon

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// openJournal opens the journal and the sinks of the options, and tells them that the daemon starts.
func (p *process) openJournal() error {
	p.seen.run = time.Now().UnixMilli()
	if err := p.openSinks(); err != nil {
		return err
	}
	if dir := p.opts.Journal.Dir; dir != "" {
		if err := p.keepJournal(dir); err != nil {
			return err
		}
	}
	p.seen.Record(journal.Event{Kind: journal.KindStart, Text: Title(p.opts.Compat)})
	return nil
}

// keepJournal begins the journal in dir and keeps its index up to date. The index is a convenience: when it cannot be written it is
// left behind, and "moongate history" completes it.
func (p *process) keepJournal(dir string) error {
	written := make(chan struct{}, 1)
	w, err := journal.Open(journal.Config{
		Dir: dir, Run: p.seen.run, User: p.privileges.uid,
		Log: func(format string, args ...any) { p.lg.Msg(logging.Warn, format, args...) },
		Wrote: func() {
			select {
			case written <- struct{}{}:
			default:
			}
		},
	})
	if diskFails(err) {
		p.lg.Msg(logging.Warn, "%v; no events are kept", err)
		return nil
	} else if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		w.Close()
		return err
	}
	p.seen.journal = w
	x, err := index.Open(p.ctx, dir) // now: after a chroot its path means another file
	if errors.Is(err, index.ErrNotBuilt) {
		p.lg.Msg(logging.Info, "journal: no index is kept: %v", err)
	} else if err != nil {
		p.lg.Msg(logging.Warn, "journal: no index is kept: %v", err)
	}
	if p.privileges.uid > 0 && os.Geteuid() == 0 {
		if err := journal.Give(root, p.privileges.uid); err != nil {
			p.lg.Msg(logging.Warn, "journal: user %s may not be able to write in %s: %v", p.opts.User, dir, err)
		}
	}
	p.wg.Go(func() {
		defer root.Close() //nolint:errcheck // read only
		p.keepIndex(x, root, written)
	})
	return nil
}

// diskFails reports whether a disk is the reason, which stops no tunnel, and not the configuration.
func diskFails(err error) bool {
	for _, no := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT, syscall.EIO} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// keepIndex takes in each batch until the daemon ends or the index fails.
func (p *process) keepIndex(x *index.Index, root *os.Root, written <-chan struct{}) {
	if x == nil {
		return
	}
	defer x.Close() //nolint:errcheck // it can be made anew
	for {
		select {
		case <-written:
		case <-p.ctx.Done():
			return
		}
		if err := x.CatchUp(p.ctx, root); err != nil && p.ctx.Err() == nil {
			p.lg.Msg(logging.Warn, "journal: no index is kept: %v", err)
			return
		}
	}
}

// acted records a command of a seat that changes something.
func (p *process) acted(who, command string) {
	p.seen.Record(journal.Event{Kind: journal.KindCommand, Who: who, Text: command})
}

// reloaded records the outcome of a reload.
func (p *process) reloaded(since time.Time, err error) {
	p.seen.Record(outcome(journal.Event{Kind: journal.KindReload}, time.Since(since), err))
}

// hooked records the outcome of a script or of plugins. A login that is put off is no failure.
func (p *process) hooked(c hooks.Call, took time.Duration, err error) {
	var failed *hooks.Error
	if c.Type == "user-pass-verify" && errors.As(err, &failed) && failed.Code == 2 {
		err = nil
	}
	e := journal.Event{Kind: journal.KindHook, Text: cmp.Or(c.Type, strings.TrimLeft(c.Tag, "-"))}
	if c.Client > 0 {
		e.CID = new(c.Client - 1)
	}
	if c.Env != nil {
		e.User, _ = c.Env.Get("username")
		e.CN, _ = c.Env.Get("common_name")
	}
	p.seen.Record(outcome(e, took, err))
}

// outcome adds how something ended.
func outcome(e journal.Event, took time.Duration, err error) journal.Event {
	e.Verdict, e.Seconds = journal.Done, took.Round(time.Millisecond).Seconds()
	if err != nil {
		e.Verdict, e.Reason = journal.Failed, err.Error()
	}
	return e
}
