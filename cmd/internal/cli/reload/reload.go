// Package reload holds "reload": a server reads its configuration again and tells what came of each change.
package reload

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/simple"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// meaning is an outcome for people.
var meaning = map[string]string{
	string(mgmt.OutcomeApplied):   "applied",
	string(mgmt.OutcomeReconnect): "applied to new connections; connected clients get it when they reconnect",
	string(mgmt.OutcomeRestart):   "not applied: needs a restart (moongate reload full)",
}

// NewCmd returns "reload".
func NewCmd(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "reload [full]", Short: "Make a server read its configuration again without dropping clients",
		Long: "Make a moongate server read its configuration again and apply what a running server can take. Each option that changed is\n" +
			"listed with what came of it. A mistake in the configuration changes nothing. With full the daemon restarts, as on SIGHUP of\n" +
			"the stock daemon: every client has to reconnect.",
		Example: "  moongate reload\n  moongate reload --json | jq -r '.changes[] | select(.outcome == \"restart\").option'",
		Args:    cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json,raw"}, ValidArgs: []string{"full"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] != "full" {
				return env.Usagef("%q: want full, or nothing", args[0])
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.Cmd(ctx, strings.Join(append([]string{"reload"}, args...), " "))
				if err != nil {
					return err
				}
				if len(args) > 0 {
					return simple.Print(e, "reload", r, "")
				}
				return show(e, r)
			})
		},
	}
}

func show(e *env.Env, r client.Reply) error {
	if e.Format == "raw" {
		return e.WriteLines(r.Raw...)
	}
	changes := []report.Change{}
	width := 0
	for _, line := range r.Body() {
		option, outcome, _ := strings.Cut(line, ",")
		changes = append(changes, report.Change{Option: option, Outcome: outcome})
		width = max(width, len(option))
	}
	if e.Format == "json" {
		return e.WriteJSON(report.Reload{Head: report.Head{Schema: report.ReloadSchema}, Changes: changes})
	}
	if len(changes) == 0 {
		fmt.Fprintln(e.Err, "nothing changed")
	}
	for _, c := range changes {
		text := meaning[c.Outcome]
		if text == "" {
			text = c.Outcome
		}
		if err := e.WriteLines(fmt.Sprintf("%-*s  %s", width, c.Option, text)); err != nil {
			return err
		}
	}
	return nil
}
