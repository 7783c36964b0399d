// Package wait holds "wait": it blocks until the daemon is in a state, or a client is connected or gone.
package wait

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/clients"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags.
type Options struct {
	states  []string
	client  string
	gone    bool
	timeout time.Duration
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "wait --state NAME[,NAME…] | --client CLIENT", Short: "Block until the daemon is in a state, or a client is connected",
		Long: "Block until the daemon is in one of the states named and print its name, or until a server has a client that fits CLIENT (a common\n" +
			"name, a CID, an address or a pattern) and print it; with --gone until it has none. While the daemon cannot be reached or restarts,\n" +
			"it is dialed again. When the time is over the exit code is 5; with --timeout 0 nothing is waited for, and what does not hold now\n" +
			"is exit code 6.",
		Example: "  moongate wait --state CONNECTED --timeout 30s\n  moongate wait --state CONNECTED,EXITING --timeout 0 && echo up\n  moongate wait --client laptop-joe --timeout 1m\n" +
			"  moongate wait --client 'lab-*' --gone",
		Args: cobra.NoArgs, Annotations: map[string]string{env.Formats: "json"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			for i, s := range o.states {
				o.states[i] = strings.ToUpper(strings.TrimSpace(s))
				if !slices.Contains(mgmt.StateNames(), o.states[i]) {
					return env.Usagef("state %q: want one of %s", s, strings.Join(mgmt.StateNames(), ", "))
				}
			}
			switch {
			case len(o.states) == 0 && o.client == "":
				return env.Usagef("wait for what? use --state NAME or --client CLIENT")
			case len(o.states) > 0 && o.client != "":
				return env.Usagef("--state and --client do not go together")
			case o.gone && o.client == "":
				return env.Usagef("--gone goes with --client")
			case o.timeout < 0:
				return env.Usagef("--timeout must not be negative")
			}
			if _, err := clients.Match(nil, o.client, clients.ByAny); err != nil {
				return err
			}
			return run(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.states, "state", nil, "states to wait for, separated by commas (repeatable)")
	f.StringVar(&o.client, "client", "", "`CLIENT` of a server to wait for")
	f.BoolVar(&o.gone, "gone", false, "with --client: wait until it is not connected")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "longest wait, 0 only looks")
	_ = cmd.RegisterFlagCompletionFunc("state", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return mgmt.StateNames(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("client", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return clients.Complete(cmd.Context(), e), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// found holds what was waited for.
type found struct {
	state  *mgmt.State
	client *client.StatusClient
}

func (f found) write(e *env.Env) error {
	if e.Format == "json" {
		w := report.Wait{Head: report.Head{Schema: report.WaitSchema}}
		if f.state != nil {
			s := report.StateOf(*f.state)
			w.State = &s
		}
		if f.client != nil {
			c := report.ClientOf(*f.client)
			w.Client = &c
		}
		return e.WriteJSON(w)
	}
	switch {
	case f.state != nil:
		return e.WriteLines(f.state.Name)
	case f.client != nil:
		return e.WriteLines(strings.TrimSpace(f.client.CommonName + " " + f.client.RealAddress))
	}
	return nil
}

// look tells whether the condition holds now, and what is there in its place.
func look(ctx context.Context, c *client.Client, o Options) (f found, ok bool, instead string, err error) {
	if o.client == "" {
		s, err := c.State(ctx)
		if err != nil {
			return f, false, "", err
		}
		return found{state: &s}, slices.Contains(o.states, s.Name), "the state is " + s.Name, nil
	}
	st, err := c.Status(ctx)
	if err != nil {
		return f, false, "", err
	}
	all, err := clients.List(st)
	if err != nil {
		return f, false, "", err
	}
	hit, err := clients.Match(all, o.client, clients.ByAny)
	switch {
	case err != nil:
		return f, false, "", err
	case o.gone:
		return f, len(hit) == 0, fmt.Sprintf("%d clients fit %q", len(hit), o.client), nil
	case len(hit) == 0:
		return f, false, fmt.Sprintf("%d clients, none fits %q", len(all), o.client), nil
	}
	return found{client: &hit[0]}, true, "", nil
}

func run(parent context.Context, e *env.Env, o Options) error {
	if o.timeout == 0 {
		return e.With(parent, func(ctx context.Context, c *client.Client) error {
			f, ok, instead, err := look(ctx, c, o)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("%w: %s", env.ErrCondition, instead)
			}
			return f.write(e)
		})
	}
	end := time.Now().Add(o.timeout)
	ctx, cancel := context.WithDeadline(parent, end)
	defer cancel()
	last := "no answer"
	for {
		var f found
		err := e.With(ctx, func(ctx context.Context, c *client.Client) (err error) {
			if o.client != "" {
				f, err = watchClients(ctx, c, o, &last)
			} else {
				f, err = watchStates(ctx, c, o, &last)
			}
			return err
		})
		switch {
		case err == nil:
			return f.write(e)
		case parent.Err() != nil:
			return parent.Err()
		case ctx.Err() != nil || !time.Now().Before(end): // a dial that the end cut off may return before ctx knows of it
			return fmt.Errorf("%w after %v, last seen: %s", env.ErrTimeout, o.timeout, last)
		case !env.Gone(err):
			return err
		}
		last = err.Error()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if e.Session != nil {
			return err
		}
	}
}

// pause between attempts to reach a daemon, and between looks at its clients.
const pause = 200 * time.Millisecond

// watchStates follows one session until a state is there or the session ends.
func watchStates(ctx context.Context, c *client.Client, o Options, last *string) (found, error) {
	sub := c.Subscribe(mgmt.KindState)
	defer sub.Close()
	r, err := c.Cmd(ctx, "state on 1")
	if err != nil {
		return found{}, err
	}
	lines := r.Body()
	for {
		for _, l := range lines {
			s, err := mgmt.ParseState(l)
			if err != nil {
				return found{}, err
			}
			*last = s.Name
			if slices.Contains(o.states, s.Name) {
				return found{state: &s}, nil
			}
		}
		n, err := sub.Next(ctx)
		if err != nil {
			return found{}, err
		}
		lines = []string{n.Text}
	}
}

// watchClients asks for the clients again and again: a daemon tells of clients by itself only under management-client-auth.
func watchClients(ctx context.Context, c *client.Client, o Options, last *string) (found, error) {
	for {
		f, ok, instead, err := look(ctx, c, o)
		var refused *client.ReplyError
		switch {
		case errors.As(err, &refused) && env.Code(err) == env.CodeDaemon: // no status in a hold: it may come
			instead = err.Error()
		case err != nil || ok:
			return f, err
		}
		*last = instead
		select {
		case <-ctx.Done():
			return f, ctx.Err()
		case <-c.Done():
			return f, c.Err()
		case <-time.After(pause):
		}
	}
}
