// Package clients holds "clients": the clients of a server, sorted, filtered, once or again and again. Its selection serves "kill" and
// "top" too.
package clients

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags.
type Options struct {
	sort    string
	filters []string
	columns []string
	watch   time.Duration
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "clients", Short: "List the clients of a server",
		Long: "List the clients of a server. The daemon of a single tunnel has none: that is exit code 6.\n\n" +
			"Columns are " + strings.Join(columnNames(), ", ") + ". A filter is COLUMN=GLOB, COLUMN!=GLOB, COLUMN>N or COLUMN<N, where N may have a unit\n" +
			"(sent>10MB, since<1h), or a glob for the common name. With several filters all must hold.",
		Example: "  moongate clients\n  moongate clients --sort sent --filter 'lab-*' --columns name,sent\n  moongate clients --watch=2s\n  moongate clients --json",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := NewSelection(o.sort, o.filters)
			if err != nil {
				return err
			}
			if _, err := Table(nil, o.columns, 0); err != nil {
				return err
			}
			if o.watch < 0 || o.watch > 0 && o.watch < 100*time.Millisecond {
				return env.Usagef("--watch must be at least 100ms")
			}
			if o.watch > 0 {
				return env.UntilInterrupted(watch(cmd.Context(), e, o, s))
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error { return show(ctx, e, c, o, s) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.sort, "sort", "", "sort by this `COLUMN`, largest traffic first; with - in front the other way")
	f.StringArrayVar(&o.filters, "filter", nil, "show clients for which `CONDITION` holds (repeatable)")
	f.StringSliceVar(&o.columns, "columns", nil, "show these columns, separated by commas")
	f.DurationVar(&o.watch, "watch", 0, "show it again at this interval until interrupted")
	f.Lookup("watch").NoOptDefVal = "2s"
	names := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return columnNames(), cobra.ShellCompDirectiveNoFileComp
	}
	_ = cmd.RegisterFlagCompletionFunc("sort", names)
	_ = cmd.RegisterFlagCompletionFunc("columns", names)
	return cmd
}

// show prints the list once.
func show(ctx context.Context, e *env.Env, c *client.Client, o Options, s Selection) error {
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	rows, err := List(st)
	if err != nil {
		return err
	}
	rows = s.Apply(rows)
	switch e.Format {
	case "json":
		return e.WriteJSON(report.Clients{Head: report.Head{Schema: report.ClientsSchema}, Clients: report.ClientsOf(rows)})
	case "raw":
		for _, cl := range rows {
			if err := e.WriteLines(strings.Join([]string{cl.CommonName, cl.RealAddress, cl.VirtualAddress, cl.ClientID}, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := Table(rows, o.columns, e.Width)
	if err != nil {
		return err
	}
	_, err = io.WriteString(e.Out, text)
	return err
}

// watch prints the list at each interval. On a terminal each list takes the place of the one before.
func watch(ctx context.Context, e *env.Env, o Options, s Selection) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		for tick := time.NewTicker(o.watch); ; {
			inPlace := e.Steers() && e.Session == nil && e.Origin == "" && e.Format == "table"
			if inPlace {
				fmt.Fprint(e.Out, "\x1b[H\x1b[2J")
			}
			if err := show(ctx, e, c, o, s); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-c.Done():
				return c.Err()
			case <-ctx.Done():
				tick.Stop()
				return ctx.Err()
			}
			if e.Format == "table" && !inPlace {
				if err := e.WriteLines(""); err != nil {
					return err
				}
			}
		}
	})
}
