package script

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewList returns "scripts".
func NewList(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "scripts", Short: "Show the Lua scripts of a moongate daemon",
		Long:    "Show each script that the daemon runs: its state, since when, handlers, events, errors, dropped events, memory, and the last error.",
		Example: "  moongate scripts\n  moongate scripts --json", Args: cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.Scripts(ctx)
				if err != nil {
					return err
				}
				return printList(e, list)
			})
		},
	}
}

func printList(e *env.Env, list []mgmt.ScriptStatus) error {
	switch e.Format {
	case "json":
		rows := make([]report.Script, len(list))
		for i, s := range list {
			rows[i] = report.Script{
				Name: s.Name, State: string(s.State), Since: report.Time(s.Since), Handlers: s.Handlers, Events: s.Events, Errors: s.Errors,
				Dropped: s.Dropped, Memory: s.Memory, LastError: s.LastError,
			}
		}
		return e.WriteJSON(report.Scripts{Head: report.Head{Schema: report.ScriptsSchema}, Scripts: rows})
	case "raw":
		for _, s := range list {
			if err := e.WriteLines(s.String()); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintln(e.Err, "the daemon runs no scripts")
		return nil
	}
	w := tabwriter.NewWriter(e.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tSINCE\tHANDLERS\tEVENTS\tERRORS\tDROPPED\tMEMORY")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%.1f MiB\n", env.Clean(s.Name), env.Clean(string(s.State)), s.Since.Format(time.DateTime), s.Handlers, s.Events,
			s.Errors, s.Dropped, float64(s.Memory)/(1<<20))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range list {
		if s.LastError != "" {
			if err := e.WriteLines(s.Name + ": " + s.LastError); err != nil {
				return err
			}
		}
	}
	return nil
}
