package env

import (
	"context"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Pauses between attempts to reach a daemon that is gone: they double from the first to the last.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Gone reports whether err means that the daemon is not there, or not ready, and may be later: worth another dial.
func Gone(err error) bool {
	var unreachable *client.UnreachableError
	return errors.As(err, &unreachable) || errors.Is(err, client.ErrLost) && !errors.Is(err, client.ErrPassword) || errors.Is(err, client.ErrNoGreeting)
}

// Redial dials until it works or ctx ends, with growing pauses. What no waiting can mend (usage, password, another protocol) it returns.
// each, when not nil, gets every failure with the pause that follows.
func (e *Env) Redial(ctx context.Context, each func(err error, pause time.Duration)) (*client.Client, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		c, err := e.Dial(ctx)
		if ctx.Err() != nil {
			if c != nil {
				c.Close()
			}
			return nil, ctx.Err()
		}
		if err == nil || !Gone(err) {
			return c, err
		}
		if each != nil {
			each(err, pause)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Follow runs f on sessions, one after the other: when one is lost it dials again, with reconnect; else it returns what f does. f
// learns with again that it goes on after a loss.
func (e *Env) Follow(ctx context.Context, reconnect bool, f func(ctx context.Context, c *client.Client, again bool) error) error {
	if e.Session != nil || !reconnect {
		return e.With(ctx, func(ctx context.Context, c *client.Client) error { return f(ctx, c, false) })
	}
	for again := false; ; again = true {
		c, err := e.Redial(ctx, nil)
		if err != nil {
			return err
		}
		err = f(ctx, c, again)
		c.Close()
		switch {
		case ctx.Err() != nil:
			return ctx.Err() // also when the daemon went at the same time
		case err == nil || !Gone(err):
			return err
		}
	}
}
