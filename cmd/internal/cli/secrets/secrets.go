// Package secrets holds "password" and "username": answers to the daemon's prompts that stay out of the process list.
package secrets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/simple"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var file, ref string
	password := &cobra.Command{
		Use: "password TYPE", Short: "Answer a password prompt",
		Long: "Send the password for a prompt of this TYPE: Auth, \"Private Key\", \"HTTP Proxy\", …\n" +
			"It comes from --file or --from, else it is asked for on the terminal, else it is the first line of standard input. It is never an\n" +
			"argument: arguments are seen by every user of the machine.",
		Example: "  moongate password Auth --file /run/secrets/vpn\n  pass vpn | moongate password \"Private Key\"",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: types, Annotations: map[string]string{env.Formats: "json,raw", env.OneTarget: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if ref != "" {
				if err := secret.Check(ref); err != nil {
					return env.Usagef("--from: %v", err)
				}
				text, err := secret.Resolve(cmd.Context(), ref, secret.Options{Getenv: e.Getenv})
				if err != nil {
					return err
				}
				return send(cmd.Context(), e, "password", args[0], text)
			}
			text, err := readSecret(cmd.Context(), e, file, args[0]+" password: ", true)
			if err != nil {
				return err
			}
			return send(cmd.Context(), e, "password", args[0], text)
		},
	}
	password.Flags().StringVar(&file, "file", "", "read the first line of this file, - is standard input")
	password.Flags().StringVar(&ref, "from", "", "where the password is: `REFERENCE` such as pass:NAME, env:NAME, totp:file:PATH")
	password.MarkFlagsMutuallyExclusive("file", "from")
	var ufile string
	username := &cobra.Command{
		Use: "username TYPE [NAME]", Short: "Answer a username prompt",
		Long:    "Send the username for a prompt of this TYPE. Without NAME it is read as password reads its text.",
		Example: "  moongate username Auth joe", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: types,
		Annotations: map[string]string{env.Formats: "json,raw", env.OneTarget: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var text string
			if len(args) == 2 {
				text = args[1]
			} else {
				var err error
				if text, err = readSecret(cmd.Context(), e, ufile, args[0]+" username: ", false); err != nil {
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

// readSecret reads a file, asks the person at the terminal, or reads a line of standard input.
func readSecret(ctx context.Context, e *env.Env, file, prompt string, hidden bool) (string, error) {
	if file != "" && file != "-" {
		text, err := env.FirstLine(file)
		if err != nil {
			return "", env.Usagef("--file: %v", err)
		}
		return text, nil
	}
	if e.InTTY && hidden && file == "" && e.AskHidden != nil {
		if e.NoAsk {
			return "", env.Usagef("--no-ask, and standard input is a terminal: give the password with --file or --from")
		}
		return e.AskHidden(ctx, prompt)
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
