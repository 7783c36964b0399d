// Package script holds "run" and "check".
package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

// exit carries a script's own exit code.
type exit struct{ *script.ExitError }

// ExitCode is what the script asked for.
func (e exit) ExitCode() int { return e.Code }

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var o script.Options
	var reconnect, verbose bool
	run := &cobra.Command{
		Use: "run FILE.lua [ARG…]", Short: "Run a Lua script on the daemon's notifications",
		Long: "Run a Lua script: it reacts to notifications, answers prompts, admits clients (docs/lua.md). It ends when it stops itself,\n" +
			"when no handler and no timer is left, or when the daemon is lost. moongate.stop(N) sets the exit code.",
		Example: "  moongate run examples/lua/answer-passwords.lua\n  moongate run hooks.lua -a /run/vpn.sock --reconnect",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Args = args[1:]
			for i, d := range o.ReadDirs {
				var err error
				if o.ReadDirs[i], err = filepath.Abs(d); err != nil {
					return err
				}
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			o.Log = slog.New(slog.NewTextHandler(e.Err, &slog.HandlerOptions{Level: level}))
			o.Print = func(s string) { fmt.Fprintln(e.Out, s) }
			if err := script.Check(args[0]); err != nil {
				return err
			}
			if reconnect {
				o.Redial = func(ctx context.Context) (*client.Client, error) { return redial(ctx, e) }
			}
			return env.UntilInterrupted(e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				err := script.RunClient(ctx, c, args[0], o)
				var own *script.ExitError
				if errors.As(err, &own) {
					return exit{own}
				}
				if err != nil && !errors.Is(err, client.ErrLost) && strings.Contains(err.Error(), client.ErrLost.Error()) {
					return fmt.Errorf("%w: %v", client.ErrLost, err) // a Lua error carries text only
				}
				return err
			}))
		},
	}
	run.Flags().SetInterspersed(true)
	run.Flags().StringArrayVar(&o.ReadDirs, "read", nil, "folder file.read may open beside the script's own (repeatable)")
	run.Flags().DurationVar(&o.HandlerTimeout, "handler-timeout", 5*time.Second, "longest time for one handler")
	run.Flags().BoolVar(&reconnect, "reconnect", false, "dial again when the daemon is lost")
	run.Flags().BoolVar(&verbose, "debug", false, "print log.debug too")

	check := &cobra.Command{
		Use: "check FILE…", Short: "Check Lua scripts and configuration files without running them",
		Long:    "Compile Lua files (.lua) and read configuration files (all others). Every mistake is printed with file and line; exit code 1.",
		Example: "  moongate check hooks.lua client.conf", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			for _, f := range args {
				check := e.CheckConfig
				if filepath.Ext(f) == ".lua" {
					check = script.Check
				}
				if check == nil {
					return env.Usagef("%s: this build checks Lua files (.lua)", f)
				}
				if err := check(f); err != nil {
					errs = append(errs, err)
				} else {
					e.WriteLines(f + ": ok")
				}
			}
			return errors.Join(errs...)
		},
	}
	return []*cobra.Command{run, check}
}

// redial dials until it works or ctx ends, with growing pauses.
func redial(ctx context.Context, e *env.Env) (*client.Client, error) {
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		c, err := e.Dial(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, client.ErrPassword) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
