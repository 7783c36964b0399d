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

// session sends a sample each interval, and what happens between, until the connection or ctx ends.
func (f *feed) session(ctx context.Context, c *client.Client, send func(tea.Msg)) error {
	sub := c.Subscribe()
	defer sub.Close()
	for _, cmd := range []string{"state on", "log on"} {
		if _, err := c.Cmd(ctx, cmd); err != nil && errors.Is(err, client.ErrLost) {
			return err
		}
	}
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for {
		s, err := f.status(ctx, c)
		if err != nil {
			return err
		}
		send(sample{f.index, time.Now(), s})
		if err := f.listen(ctx, c, sub, tick.C, send); err != nil {
			return err
		}
	}
}

// status reads the status; a daemon in a hold has none, and only its state is read.
func (f *feed) status(ctx context.Context, c *client.Client) (s status.Status, err error) {
	s, err = status.Read(ctx, c)
	var refused *client.ReplyError
	if errors.As(err, &refused) && env.Code(err) == env.CodeDaemon {
		s = status.Status{}
		s.State, err = c.State(ctx)
	}
	return s, err
}

// listen sends notifications until the next tick.
func (f *feed) listen(ctx context.Context, c *client.Client, sub *client.Subscription, tick <-chan time.Time, send func(tea.Msg)) error {
	for {
		select {
		case <-sub.Ready():
			for n, ok := sub.TryNext(); ok; n, ok = sub.TryNext() {
				if shows(n) {
					send(happened{f.index, time.Now(), n})
				}
			}
			if sub.Ended() {
				return c.Err()
			}
		case <-tick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// shows reports whether the screen shows a notification: of the log only what is wrong.
func shows(n client.Notification) bool {
	if n.Kind != mgmt.KindLog {
		return true
	}
	l, err := mgmt.ParseLog(n.Text)
	return err == nil && (l.Flags == mgmt.FlagWarning || l.Flags == mgmt.FlagFatal || l.Flags == mgmt.FlagNonFatal)
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
