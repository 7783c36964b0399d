// Package follow holds "events" and "bytecount": the daemon's real-time notifications as they come.
package follow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// Options are the flags of "events".
type Options struct {
	kinds     []string
	count     int
	reconnect bool
}

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command { return []*cobra.Command{newEvents(e), newByteCount(e)} }

func newEvents(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "events", Short: "Print real-time notifications as they come",
		Long: "Print real-time notifications until interrupted. Without -k that is all the daemon sends by itself, states, echoes\n" +
			"and byte counts switched on; the log comes with -k LOG. Secrets are left out.\n\n" +
			"With --reconnect the loss of the daemon is an event (lost), it is dialed again, and its return is one (connected): between the\n" +
			"two something may be missing. A reader that is too slow gets an event missed with the number of notifications dropped.",
		Example: "  moongate events\n  moongate events -k CLIENT -k STATE --json --reconnect\n  moongate events -k HOLD -n 1",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw", env.Follows: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.count < 0 {
				return env.Usagef("-n must not be negative")
			}
			for i, k := range o.kinds {
				o.kinds[i] = strings.ToUpper(k)
				if !slices.Contains(mgmt.KindNames(), o.kinds[i]) {
					return env.Usagef("kind %q: want one of %s", k, strings.Join(mgmt.KindNames(), ", "))
				}
			}
			return env.UntilInterrupted(runEvents(cmd.Context(), e, o))
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.kinds, "kind", "k", nil, "only this kind, STATE for instance (repeatable)")
	f.IntVarP(&o.count, "count", "n", 0, "end after so many")
	f.BoolVar(&o.reconnect, "reconnect", false, "dial again when the daemon is lost")
	_ = cmd.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return mgmt.KindNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// Marks are events that the daemon does not send: they tell where something may be missing.
const (
	markLost      = "lost"
	markConnected = "connected"
	markMissed    = "missed"
)

// runEvents follows the daemon, over the loss of a connection with --reconnect.
func runEvents(ctx context.Context, e *env.Env, o Options) error {
	shown := 0
	return e.Follow(ctx, o.reconnect, func(ctx context.Context, c *client.Client, again bool) error {
		if again {
			if err := mark(e, markConnected, c.Greeting()); err != nil {
				return err
			}
		}
		err := writeEvents(ctx, e, o, c, &shown)
		if o.reconnect && err != nil && env.Gone(err) {
			if merr := mark(e, markLost, err.Error()); merr != nil {
				return merr
			}
		}
		return err
	})
}

// writeEvents switches the streams on and writes what comes over one connection, until it ends or shown has reached the count asked for.
func writeEvents(ctx context.Context, e *env.Env, o Options, c *client.Client, shown *int) error {
	sub := c.Subscribe(o.kinds...)
	defer sub.Close()
	want := o.kinds
	if len(want) == 0 {
		want = []string{mgmt.KindState, mgmt.KindEcho, mgmt.KindByteCount}
	}
	for _, k := range want {
		row := mgmt.LookupKind(k)
		if row.Switch == "" {
			continue
		}
		if _, err := c.Cmd(ctx, row.Switch); err != nil {
			return err
		}
	}
	var missed uint64
	for {
		note, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		if n := sub.Dropped(); n > missed {
			if err := mark(e, markMissed, fmt.Sprint(n-missed, " notifications")); err != nil {
				return err
			}
			missed = n
		}
		if err := writeEvent(e, note); err != nil {
			return err
		}
		if *shown++; *shown == o.count {
			return nil
		}
	}
}

// mark writes an event of our own.
func mark(e *env.Env, name, text string) error {
	if e.Format == "json" {
		return e.WriteJSON(report.Event{Head: report.Head{Schema: report.EventSchema}, Received: report.Time(time.Now()), Event: name, Text: text})
	}
	return e.WriteLines("# " + name + ": " + text)
}

func writeEvent(e *env.Env, n client.Notification) error {
	if e.Format == "json" {
		return e.WriteJSON(report.EventOf(n, lib.EventName(n), time.Now()))
	}
	lines := client.NotificationLines(n)
	for i, l := range lines {
		lines[i] = client.Redact(l)
	}
	return e.WriteLines(lines...)
}
