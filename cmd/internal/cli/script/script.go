// Package script holds "run" and "check".
package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
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
		Use: "check FILE… | [FILE] --any-openvpn-option …", Short: "Check Lua scripts and configuration files without running them",
		Long: "Compile Lua files (.lua) and read configuration files (all others), each for itself. With options it takes the daemon's command\n" +
			"line instead, and reads what \"moongate daemon\" would read. Every mistake is printed with file and line; exit code 1.",
		Example:            "  moongate check hooks.lua client.conf\n  moongate check server.conf --port 1195 --proto tcp-server",
		DisableFlagParsing: true, // the options are the daemon's
		RunE:               func(cmd *cobra.Command, args []string) error { return checkAll(e, cmd, args) },
	}
	return []*cobra.Command{run, check}
}

// checkAll is "check": files one by one, or the daemon's command line.
func checkAll(e *env.Env, cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "-h") || len(args) == 1 && args[0] == "--help" {
		return cmd.Help()
	}
	if len(args) == 0 {
		return env.Usagef("check needs a file or options\nusage: %s", cmd.UseLine())
	}
	first := slices.IndexFunc(args, func(s string) bool { return strings.HasPrefix(s, "--") })
	switch {
	case first > 1:
		return env.Usagef("%d files before %s: with options one configuration is checked", first, args[first])
	case first == 1:
		args = append([]string{"--config"}, args...)
	}
	if first >= 0 {
		return checkConfig(e, "the command line", args)
	}
	var errs []error
	for _, f := range args {
		if filepath.Ext(f) != ".lua" {
			errs = append(errs, checkConfig(e, f, []string{"--config", f}))
		} else if err := script.Check(f); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, e.WriteLines(f+": ok"))
		}
	}
	return errors.Join(errs...)
}

// checkConfig checks one command line of the daemon.
func checkConfig(e *env.Env, name string, args []string) error {
	if e.CheckConfig == nil {
		return env.Usagef("%s: this build checks Lua files (.lua)", name)
	}
	warnings, err := e.CheckConfig(args)
	for _, w := range warnings {
		fmt.Fprintf(e.Err, "%s: %s\n", name, env.Clean(w))
	}
	if err != nil {
		return err
	}
	return e.WriteLines(name + ": ok")
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
