// Package wait holds "wait": it blocks until the daemon is in a state.
package wait

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags.
type Options struct {
	states  []string
	timeout time.Duration
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "wait --state NAME", Short: "Block until the daemon is in a state",
		Long: "Block until the daemon is in one of the states named, then print its name. While the daemon cannot be reached or restarts, it\n" +
			"is dialed again. When the time is over the exit code is 5; with --timeout 0 nothing is waited for, and a state that is\n" +
			"not there now is exit code 6.",
		Example: "  moongate wait --state CONNECTED --timeout 30s\n  moongate wait --state CONNECTED --timeout 0 && echo up",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for i, s := range o.states {
				o.states[i] = strings.ToUpper(s)
				if !slices.Contains(mgmt.StateNames(), o.states[i]) {
					return env.Usagef("state %q: want one of %s", s, strings.Join(mgmt.StateNames(), ", "))
				}
			}
			if len(o.states) == 0 {
				return env.Usagef("which state? use --state NAME")
			}
			return run(cmd.Context(), e, o)
		},
	}
	cmd.Flags().StringArrayVar(&o.states, "state", nil, "state to wait for (repeatable)")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "longest wait, 0 only looks")
	_ = cmd.RegisterFlagCompletionFunc("state", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return mgmt.StateNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// pause between attempts to reach a daemon.
const pause = 200 * time.Millisecond

func run(parent context.Context, e *env.Env, o Options) error {
	if o.timeout <= 0 {
		return e.With(parent, func(ctx context.Context, c *client.Client) error {
			s, err := c.State(ctx)
			if err != nil {
				return err
			}
			if !slices.Contains(o.states, s.Name) {
				return fmt.Errorf("%w: the state is %s", env.ErrCondition, s.Name)
			}
			return e.WriteLines(s.Name)
		})
	}
	ctx, cancel := context.WithTimeout(parent, o.timeout)
	defer cancel()
	last := "no answer"
	for {
		err := watch(ctx, e, o, &last)
		var unreachable *client.UnreachableError
		switch {
		case err == nil || parent.Err() != nil:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w after %v, last seen: %s", env.ErrTimeout, o.timeout, last)
		case !errors.As(err, &unreachable) && !errors.Is(err, client.ErrLost) && !errors.Is(err, client.ErrNoGreeting):
			return err
		}
		last = err.Error()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// watch follows one session until the state is there or the session ends.
func watch(ctx context.Context, e *env.Env, o Options, last *string) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		sub := c.Subscribe(mgmt.KindState)
		r, err := c.Cmd(ctx, "state on 1")
		if err != nil {
			return err
		}
		lines := r.Body()
		for {
			for _, l := range lines {
				s, err := mgmt.ParseState(l)
				if err != nil {
					return err
				}
				*last = s.Name
				if slices.Contains(o.states, s.Name) {
					return e.WriteLines(s.Name)
				}
			}
			n, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			lines = []string{n.Text}
		}
	})
}
