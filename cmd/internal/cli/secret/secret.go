// Package secret holds "password" and "username": answers to the daemon's prompts that stay out of the process list.
package secret

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/simple"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var file string
	password := &cobra.Command{
		Use: "password TYPE", Short: "Answer a password prompt",
		Long: "Send the password for a prompt of this TYPE: Auth, \"Private Key\", \"HTTP Proxy\", …\n" +
			"It is read from --file, else asked for on the terminal, else the first line of standard input. It is never an argument:\n" +
			"arguments are seen by every user of the machine.",
		Example: "  moongate password Auth --file /run/secrets/vpn\n  pass vpn | moongate password \"Private Key\"",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: types,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readSecret(e, file, args[0]+" password: ", true)
			if err != nil {
				return err
			}
			return send(cmd.Context(), e, "password", args[0], text)
		},
	}
	password.Flags().StringVar(&file, "file", "", "read the first line of this file, - is standard input")
	var ufile string
	username := &cobra.Command{
		Use: "username TYPE [NAME]", Short: "Answer a username prompt",
		Long:    "Send the username for a prompt of this TYPE. Without NAME it is read as password reads its text.",
		Example: "  moongate username Auth joe", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: types,
		RunE: func(cmd *cobra.Command, args []string) error {
			var text string
			if len(args) == 2 {
				text = args[1]
			} else {
				var err error
				if text, err = readSecret(e, ufile, args[0]+" username: ", false); err != nil {
					return err
				}
			}
			return send(cmd.Context(), e, "username", args[0], text)
		},
	}
	username.Flags().StringVar(&ufile, "file", "", "read the first line of this file, - is standard input")
	return []*cobra.Command{password, username}
}

func types(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{mgmt.SecretAuth, mgmt.SecretPrivateKey, mgmt.SecretHTTPProxy, mgmt.SecretSOCKSProxy}, cobra.ShellCompDirectiveNoFileComp
}

func readSecret(e *env.Env, file, prompt string, hidden bool) (string, error) {
	if file != "" && file != "-" {
		return env.FirstLine(file)
	}
	if f, ok := e.In.(*os.File); ok && e.InTTY && hidden && file == "" {
		fmt.Fprint(e.Err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.Err)
		return string(b), err
	}
	if e.InTTY {
		fmt.Fprint(e.Err, prompt)
	}
	line, err := bufio.NewReader(e.In).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", env.Usagef("standard input is empty: nothing to send")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func send(ctx context.Context, e *env.Env, cmd, typ, text string) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Cmd(ctx, client.Line(cmd, typ, text))
		if err != nil {
			return err
		}
		return simple.Print(e, cmd, r, "")
	})
}
