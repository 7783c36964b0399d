// Package script holds "run", "test", "check" and "scripts".
package script

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/script"
)

// exit carries a script's own exit code.
type exit struct{ *script.ExitError }

// ExitCode is what the script asked for.
func (e exit) ExitCode() int { return e.Code }

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	check := &cobra.Command{
		Use: "check FILE… | [FILE] --any-openvpn-option …", Short: "Check Lua scripts and configuration files without running them",
		Long: "Compile Lua files (.lua) and read configuration files (all others), each for itself. With options it takes the daemon's command\n" +
			"line instead, and reads what \"moongate daemon\" would read. Every mistake is printed with file and line; exit code 1.",
		Example:            "  moongate check hooks.lua client.conf\n  moongate check server.conf --port 1195 --proto tcp-server",
		DisableFlagParsing: true, // the options are the daemon's
		RunE:               func(cmd *cobra.Command, args []string) error { return checkAll(e, cmd, args) },
	}
	env.Mark(env.NoDaemon, "yes", check)
	return []*cobra.Command{newRun(e), check, newTest(e)}
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
