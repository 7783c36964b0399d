package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/repl"
)

// shell is the command tree as the prompt uses it.
type shell struct{ version string }

// outside are the commands that need a terminal or a connection of their own.
var outside = []string{"attach", "connect", "disconnect", "daemon", "demo", "mux", "record", "replay", "man", "completion", "top", "targets", "web"}

// Fit implements repl.Shell.
func (s shell) Fit(words []string) repl.Fit {
	e := &env.Env{Getenv: func(string) string { return "" }}
	root := NewRoot(e, s.version)
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		return repl.Fit{}
	}
	if slices.Contains(outside, words[0]) {
		return repl.Fit{OK: slices.Contains(words, "--help"), Refused: "moongate " + words[0] + " is for the shell, not for the prompt"}
	}
	flags := slices.ContainsFunc(rest, func(w string) bool { return len(w) > 1 && w[0] == '-' })
	f := repl.Fit{OK: flags || cmd.Args == nil || cmd.Args(cmd, rest) == nil, JSON: formats(cmd, "json") && !cmd.DisableFlagParsing}
	if flags && cmd.ParseFlags(rest) == nil || cmd.Annotations[env.Follows] != "" {
		f.Follows = follows(cmd)
	}
	if cmd.Name() == "run" || cmd.Name() == "wait" {
		f.Follows = true
	}
	return f
}

// Run implements repl.Shell.
func (s shell) Run(ctx context.Context, e *env.Env, words []string) error {
	if e.Session == nil && !slices.ContainsFunc(words, func(w string) bool { return w == "--help" || w == "-h" }) && words[0] != "check" && words[0] != "genkey" {
		_, err := e.Err.Write([]byte("not connected: the daemon is being dialed\n"))
		return err
	}
	err := execute(ctx, e, s.version, words)
	var on *elsewhere
	if errors.As(err, &on) {
		return s.elsewhere(ctx, e, on.args)
	}
	if ctx.Err() != nil {
		return err
	}
	finish(ctx, e.Err, "", err)
	return err
}

// elsewhere runs a command on other targets. The prompt's own connection stays.
func (s shell) elsewhere(ctx context.Context, e *env.Env, args []string) error {
	one := &env.Env{
		In: e.In, Out: e.Out, Err: e.Err, Getenv: e.Getenv, OutTTY: e.OutTTY, Width: e.Width, CheckConfig: e.CheckConfig, AskHidden: e.AskHidden,
	}
	if code := Run(ctx, one, s.version, args); code != env.CodeDone {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

// Complete implements repl.Shell, by the way the system's shells complete.
func (s shell) Complete(ctx context.Context, e *env.Env, words []string, prefix string) []string {
	if len(words) > 0 && slices.Contains(outside, words[0]) {
		return nil
	}
	var out bytes.Buffer
	e.Out, e.Err = &out, &bytes.Buffer{}
	_ = execute(ctx, e, s.version, append(append([]string{cobra.ShellCompNoDescRequestCmd}, words...), prefix))
	var all []string
	for l := range strings.SplitSeq(out.String(), "\n") {
		if l != "" && !strings.HasPrefix(l, ":") && (len(words) > 0 || !slices.Contains(outside, l)) {
			all = append(all, l)
		}
	}
	return all
}
