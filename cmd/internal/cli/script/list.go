package script

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
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
		return e.WriteJSON(report.Scripts{Head: report.Head{Schema: report.ScriptsSchema}, Scripts: report.ScriptsOf(list)})
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
	return table.Scripts(e, list)
}
