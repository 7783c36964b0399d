package top

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/kill"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Messages of a feed to the model; index says which target they are about.
type (
	sample struct {
		index  int
		at     time.Time
		status status.Status
	}
	lost struct {
		index int
		why   string
	}
	happened struct {
		index int
		at    time.Time
		note  client.Notification
	}
	killed struct {
		index int
		who   string
		err   error
	}
)

// victim is the client that a kill is about.
type victim = client.StatusClient

// feed looks at one daemon at an interval and hears its notifications.
type feed struct {
	index    int
	e        *env.Env
	interval time.Duration
	first    *client.Client // open from before the screen, nil: dial

	mu      sync.Mutex
	current *client.Client // nil while there is none
}

// run feeds until ctx ends; a lost daemon is dialed again.
func (f *feed) run(ctx context.Context, send func(tea.Msg)) {
	c := f.first
	for ctx.Err() == nil {
		if c == nil {
			var err error
			c, err = f.e.Redial(ctx, func(err error, _ time.Duration) { send(lost{f.index, err.Error()}) })
			if err != nil {
				if ctx.Err() == nil {
					send(lost{f.index, err.Error()})
					<-ctx.Done()
				}
				return
			}
		}
		f.set(c)
		err := f.session(ctx, c, send)
		f.set(nil)
		c.Close()
		c = nil
		if ctx.Err() == nil && err != nil {
			send(lost{f.index, err.Error()})
			if !env.Gone(err) { // refused or not understood: asking at once again changes nothing
				select {
				case <-ctx.Done():
				case <-time.After(f.interval):
				}
			}
		}
	}
	if c != nil {
		c.Close()
	}
}

func (f *feed) set(c *client.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = c
}

func (f *feed) session(ctx context.Context, c *client.Client, send func(tea.Msg)) error {
	sub := c.Subscribe()
	defer sub.Close()
	for _, cmd := range []string{"state on", "log on"} {
		if _, err := c.Cmd(ctx, cmd); err != nil && errors.Is(err, client.ErrLost) {
			return err
		}
	}
	for tick := time.NewTicker(f.interval); ; {
		s, err := status.Read(ctx, c)
		var refused *client.ReplyError
		switch {
		case errors.As(err, &refused) && env.Code(err) == env.CodeDaemon: // a daemon in a hold has no status
			s = status.Status{}
			if s.State, err = c.State(ctx); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		send(sample{f.index, time.Now(), s})
		for waiting := true; waiting; {
			select {
			case <-sub.Ready():
				for n, ok := sub.TryNext(); ok; n, ok = sub.TryNext() {
					if n.Kind == mgmt.KindLog {
						if l, err := mgmt.ParseLog(n.Text); err != nil || l.Flags != mgmt.FlagWarning && l.Flags != mgmt.FlagFatal && l.Flags != mgmt.FlagNonFatal {
							continue // of the log only what is wrong
						}
					}
					send(happened{f.index, time.Now(), n})
				}
				if sub.Ended() {
					return c.Err()
				}
			case <-tick.C:
				waiting = false
			case <-ctx.Done():
				tick.Stop()
				return ctx.Err()
			}
		}
	}
}

// kill disconnects a client.
func (f *feed) kill(ctx context.Context, h victim, reason string) tea.Msg {
	f.mu.Lock()
	c := f.current
	f.mu.Unlock()
	if c == nil {
		return killed{f.index, h.CommonName, errors.New("not connected")}
	}
	return killed{f.index, h.CommonName, kill.One(ctx, c, h, reason)}
}
