package web

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// Times of the feed. A notification about clients has the table read at once, but not more often than soon; without any it is read each
// interval. While no browser is there it is not read, and the first that comes has it read at once.
const (
	interval  = 2 * time.Second
	soon      = 100 * time.Millisecond
	pauseMost = 10 * time.Second
)

// errAway is the answer while there is no session with the daemon.
var errAway = errors.New("the daemon is not reached")

// feed keeps a session with the daemon and tells the hub what it sees.
type feed struct {
	dial func(ctx context.Context) (*client.Client, error)
	hub  *hub

	mu      sync.Mutex
	current *client.Client // nil while there is none
}

// run feeds until ctx ends; a lost daemon is dialed again.
func (f *feed) run(ctx context.Context) {
	for pause := soon; ctx.Err() == nil; pause = min(2*pause, pauseMost) {
		c, err := f.dial(ctx)
		if err == nil {
			f.set(c)
			began := time.Now()
			err = f.session(ctx, c)
			f.set(nil)
			_ = c.Close()
			if time.Since(began) > pauseMost {
				pause = soon
			}
		}
		if ctx.Err() != nil {
			return
		}
		f.hub.change(func(_ table, d *daemon) change {
			d.Connected, d.Why = false, err.Error()
			return change{Daemon: new(*d)}
		})
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (f *feed) set(c *client.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = c
}

// with runs a command on the session.
func (f *feed) with(do func(c *client.Client) error) error {
	f.mu.Lock()
	c := f.current
	f.mu.Unlock()
	if c == nil {
		return errAway
	}
	return do(c)
}

func (f *feed) session(ctx context.Context, c *client.Client) error {
	sub := c.Subscribe()
	defer sub.Close()
	for _, cmd := range []string{"state on", "log on"} {
		if _, err := c.Cmd(ctx, cmd); err != nil && errors.Is(err, client.ErrLost) {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked, due time.Time
	hurry := func() {
		if !f.hub.watched() {
			return
		}
		if at := looked.Add(soon); at.Before(due) {
			due = at
			timer.Reset(max(0, time.Until(at)))
		}
	}
	for {
		select {
		case <-timer.C:
			if err := f.look(ctx, c); err != nil {
				return err
			}
			looked = time.Now()
			due = looked.Add(interval)
			if f.hub.watched() {
				timer.Reset(interval)
			}
		case <-f.hub.first:
			hurry()
		case <-sub.Ready():
			for n, ok := sub.TryNext(); ok; n, ok = sub.TryNext() {
				if f.tell(n) {
					hurry()
				}
			}
			if sub.Ended() {
				return c.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look reads the status and tells what changed.
func (f *feed) look(ctx context.Context, c *client.Client) error {
	s, err := status.Read(ctx, c)
	var refused *client.ReplyError
	if errors.As(err, &refused) { // a daemon in a hold has no status
		s = status.Status{}
		s.State, err = c.State(ctx)
	}
	if err != nil {
		return err
	}
	f.hub.change(func(rows table, d *daemon) change {
		ch := rows.update(s.Clients)
		now := daemon{Connected: true, Name: d.Name, Server: s.Server, Title: s.Title, Traffic: s.Traffic}
		if s.State.Name != "" {
			now.State = new(report.StateOf(s.State))
		}
		*d = now
		ch.Daemon = new(now) // each time: without news browsers would go on showing the last rates
		return ch
	})
	return nil
}

// tell passes a notification on, and reports whether it may be about the table. Of the log only what is wrong, and what a stock server without
// notifications about clients logs when one comes or goes.
func (f *feed) tell(n client.Notification) (hurry bool) {
	switch n.Kind {
	case mgmt.KindLog:
		l, err := mgmt.ParseLog(n.Text)
		if err != nil {
			return false
		}
		for _, sign := range []string{"MULTI_sva:", "MULTI: primary virtual IP", "client-instance exiting", "client-instance restarting"} {
			hurry = hurry || strings.Contains(l.Text, sign)
		}
		if l.Flags != mgmt.FlagWarning && l.Flags != mgmt.FlagFatal && l.Flags != mgmt.FlagNonFatal {
			return hurry
		}
	case mgmt.KindByteCount, mgmt.KindByteCountClient:
		return false
	case mgmt.KindClient, mgmt.KindState:
		hurry = true
	}
	f.hub.note(report.EventOf(n, lib.EventName(n), time.Now()))
	return hurry
}
