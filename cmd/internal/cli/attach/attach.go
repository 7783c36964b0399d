// Package attach holds "attach": the prompt, or raw lines from -c and from a pipe.
package attach

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/lines"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/cmd/internal/repl"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewCmd returns the command.
func NewCmd(e *env.Env, shell repl.Shell) *cobra.Command {
	var cmds []string
	var history string
	cmd := &cobra.Command{
		Use: "attach [ADDR]", Short: "Open a prompt on a management port",
		Long: "Open a prompt with history and completion. It takes the commands of the shell with the same words and flags, management lines, and\n" +
			"commands of its own (\\?). Notifications appear above the line being typed, and a password prompt of the daemon asks for it without\n" +
			"showing it. When the daemon goes the prompt stays, keeps the line and dials again. With -c, or when standard input is not a terminal, raw management commands run without a\n" +
			"prompt; the exit code is 1 if one of them was answered by an ERROR.",
		Example: "  moongate attach\n  moongate attach /run/vpn.sock -c 'state' -c 'hold release'\n  echo status | moongate attach 127.0.0.1:7505",
		Args:    cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				e.Addrs = args
			}
			if len(cmds) == 0 && e.InTTY && e.Format == "json" {
				return env.Usagef("the prompt has no -o json; at the prompt \\json switches it on")
			}
			t, err := e.Target()
			if err != nil {
				return err
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				switch {
				case len(cmds) > 0:
					return lines.Run(ctx, e, c, strings.NewReader(strings.Join(cmds, "\n")+"\n"), true)
				case !e.InTTY:
					return lines.Run(ctx, e, c, e.In, true)
				}
				fmt.Fprint(e.Out, table.Flow(fmt.Sprintf("%s at %s; help helps, Tab completes, Ctrl-D leaves\n", env.Clean(c.Greeting()), t.Name), e.Width))
				return env.UntilInterrupted(repl.Run(ctx, e, c, repl.Options{HistoryFile: history, Shell: shell}))
			})
		},
	}
	cmd.Flags().StringArrayVarP(&cmds, "command", "c", nil, "run this command instead of the prompt (repeatable)")
	cmd.Flags().StringVar(&history, "history", repl.DefaultHistory(e.Getenv), "history file of the prompt, empty for none")
	return cmd
}
