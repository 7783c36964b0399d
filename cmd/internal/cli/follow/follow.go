// Package follow holds "events" and "bytecount": the daemon's real-time notifications as they come.
package follow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Schemas of one JSON line (docs/json.md).
const (
	EventSchema     = "moongate.event/1"
	ByteCountSchema = "moongate.bytecount/1"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var kinds []string
	var count int
	events := &cobra.Command{
		Use: "events", Short: "Print real-time notifications as they come",
		Long: "Print real-time notifications until interrupted. Without -k that is all the daemon sends by itself, states, echoes\n" +
			"and byte counts switched on; the log comes with -k LOG. Secrets are left out.",
		Example: "  moongate events\n  moongate events -k CLIENT -k STATE --json\n  moongate events -k HOLD -n 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.UntilInterrupted(runEvents(cmd.Context(), e, kinds, count))
		},
	}
	events.Flags().StringArrayVarP(&kinds, "kind", "k", nil, "only this kind, STATE for instance (repeatable)")
	events.Flags().IntVarP(&count, "count", "n", 0, "end after so many")
	_ = events.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return mgmt.Kinds(), cobra.ShellCompDirectiveNoFileComp
	})
	var interval int
	var follow bool
	bytes := &cobra.Command{
		Use: "bytecount", Short: "Show bytes received and sent", Long: "Show the daemon's totals, or with -f a report at each interval until interrupted.",
		Example: "  moongate bytecount\n  moongate bytecount -f --interval 5 --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 1 {
				return env.Usagef("--interval must be at least 1")
			}
			err := runByteCount(cmd.Context(), e, interval, follow)
			if follow {
				return env.UntilInterrupted(err)
			}
			return err
		},
	}
	bytes.Flags().BoolVarP(&follow, "follow", "f", false, "report at each interval")
	bytes.Flags().IntVar(&interval, "interval", 1, "seconds between reports")
	return []*cobra.Command{events, bytes}
}

// Event is a notification in JSON.
type Event struct {
	Schema   string            `json:"schema"`
	Received string            `json:"received"`
	Kind     string            `json:"kind"`
	Text     string            `json:"text"`
	Env      map[string]string `json:"env,omitempty"`
}

// switches are the commands that make the daemon report a kind.
var switches = map[string]string{
	mgmt.KindState: "state on", mgmt.KindEcho: "echo on", mgmt.KindLog: "log on", mgmt.KindByteCount: "bytecount 1", mgmt.KindByteCountClient: "bytecount 1",
}

func runEvents(ctx context.Context, e *env.Env, kinds []string, count int) error {
	want := kinds
	if len(want) == 0 {
		want = []string{mgmt.KindState, mgmt.KindEcho, mgmt.KindByteCount}
	}
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		sub := c.Subscribe(kinds...)
		for _, k := range want {
			if cmd := switches[k]; cmd != "" {
				if _, err := c.Cmd(ctx, cmd); err != nil {
					return err
				}
			}
		}
		for n := 1; ; n++ {
			note, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			if err := writeEvent(e, note); err != nil {
				return err
			}
			if n == count {
				return nil
			}
		}
	})
}

func writeEvent(e *env.Env, n client.Notification) error {
	lines := client.NotificationLines(n)
	for i, l := range lines {
		lines[i] = client.Redact(l)
	}
	if e.Format != "json" {
		return e.WriteLines(lines...)
	}
	_, text, _ := strings.Cut(lines[0], ":")
	ev := Event{Schema: EventSchema, Received: env.Time(time.Now()), Kind: n.Kind, Text: text}
	if mgmt.HasBlock(n.Kind, n.Text) {
		ev.Env = make(map[string]string)
		for _, l := range lines[1 : len(lines)-1] {
			_, kv, _ := strings.Cut(l, ":ENV,")
			k, v, _ := strings.Cut(kv, "=")
			ev.Env[k] = v
		}
	}
	return e.WriteJSON(ev)
}

// ByteCount is one report in JSON. Client is missing for the daemon's own totals.
type ByteCount struct {
	Schema   string `json:"schema"`
	Time     string `json:"time"`
	Client   string `json:"client_id,omitempty"`
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
}

func runByteCount(ctx context.Context, e *env.Env, interval int, follow bool) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		if !follow {
			s, err := c.LoadStats(ctx)
			if err != nil {
				return err
			}
			return writeBytes(e, "", mgmt.ByteCount{In: s.BytesIn, Out: s.BytesOut})
		}
		sub := c.Subscribe(mgmt.KindByteCount, mgmt.KindByteCountClient)
		if _, err := c.Cmd(ctx, fmt.Sprintf("bytecount %d", interval)); err != nil {
			return err
		}
		for {
			n, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			cid, text := "", n.Text
			if n.Kind == mgmt.KindByteCountClient {
				cid, text, _ = strings.Cut(n.Text, ",")
			}
			b, err := mgmt.ParseByteCount(text)
			if err != nil {
				return err
			}
			if err := writeBytes(e, cid, b); err != nil {
				return err
			}
		}
	})
}

func writeBytes(e *env.Env, cid string, b mgmt.ByteCount) error {
	switch e.Format {
	case "json":
		return e.WriteJSON(ByteCount{ByteCountSchema, env.Time(time.Now()), cid, b.In, b.Out})
	case "raw":
		return e.WriteLines(strings.TrimPrefix(fmt.Sprintf("%s,%d,%d", cid, b.In, b.Out), ","))
	}
	who := ""
	if cid != "" {
		who = "client " + cid + "  "
	}
	return e.WriteLines(fmt.Sprintf("%sin %s  out %s", who, status.Bytes(b.In), status.Bytes(b.Out)))
}
