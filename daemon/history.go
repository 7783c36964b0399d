package daemon

import (
	"os"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// openJournal begins the journal of the options and keeps its index up to date. The index is a convenience: when it cannot be written
// it is left behind, and "moongate history" completes it.
func (p *process) openJournal() error {
	dir := p.opts.Journal
	if dir == "" {
		return nil
	}
	written := make(chan struct{}, 1)
	w, err := journal.Open(journal.Config{
		Dir: dir,
		Log: func(format string, args ...any) { p.lg.Msg(logging.Warn, format, args...) },
		Wrote: func() {
			select {
			case written <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		w.Close()
		return err
	}
	p.journal = w
	x, err := index.Open(p.ctx, dir) // now: after a chroot its path means another file
	if err != nil {
		p.lg.Msg(logging.Warn, "journal: no index is kept: %v", err)
	}
	p.wg.Go(func() {
		defer root.Close() //nolint:errcheck // read only
		p.keepIndex(x, root, written)
	})
	w.Record(journal.Event{Kind: journal.KindStart, Text: Title()})
	return nil
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
	p.journal.Record(journal.Event{Kind: journal.KindCommand, Who: who, Text: command})
}

// reloaded records the outcome of a reload.
func (p *process) reloaded(err error) {
	e := journal.Event{Kind: journal.KindReload, Verdict: journal.Done}
	if err != nil {
		e.Verdict, e.Reason = journal.Failed, err.Error()
	}
	p.journal.Record(e)
}
