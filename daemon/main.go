package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Exit statuses of Main.
const (
	exitOK    = 0
	exitError = 1
)

// Env holds what Main takes from its process. The zero Env is that of the process itself.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Program is the name in the version text and the file run again for the background; os.Args[0] by default.
	Program string
	// Args0 are arguments in front of the daemon's own when the program is run again ("daemon").
	Args0 []string
	// NoSignals leaves the signals of the process alone: only the context and the management port end the daemon.
	NoSignals bool
	// Scripts runs Lua. nil: scripts are not available.
	Scripts ScriptHost
}

func (e Env) withDefaults() Env {
	if e.Stdin == nil {
		e.Stdin = os.Stdin
	}
	if e.Stdout == nil {
		e.Stdout = os.Stdout
	}
	if e.Stderr == nil {
		e.Stderr = os.Stderr
	}
	if e.Program == "" {
		e.Program = os.Args[0]
	}
	return e
}

// Main runs the daemon with a command line in OpenVPN's form, without the program name, until a signal, the management
// port or the end of ctx ends it, and returns the exit status: 0 for an end by a signal, 1 for an error.
func Main(ctx context.Context, args []string, env Env) int {
	env = env.withDefaults()
	opts, err := config.Parse(args, config.Env{Stdin: env.Stdin})
	if err != nil {
		return parseFailed(err, opts, env)
	}
	if opts.Tool.Name != "" {
		return runTool(ctx, opts, env)
	}
	p := newProcess(args, opts, env)
	defer p.close()
	return p.run(ctx)
}

// parseFailed says what is wrong with the options and returns the exit status.
func parseFailed(err error, opts *config.Options, env Env) int {
	switch {
	case errors.Is(err, config.ErrVersion):
		fmt.Fprint(env.Stdout, versionText())
		return exitOK
	case errors.Is(err, config.ErrUsage):
		fmt.Fprint(env.Stdout, usageText(env.Program))
		return exitError
	}
	out := env.Stdout
	if opts != nil && opts.ErrorsToStderr {
		out = env.Stderr
	}
	var oe *config.Error
	if !errors.As(err, &oe) {
		fmt.Fprintf(out, "%v\n", err)
		return exitError
	}
	if opts != nil && (opts.Log != "" || opts.Syslog) {
		lg := logging.New(logConfig(opts, env))
		defer lg.Close()
		for _, n := range opts.Notes { // what was noticed before the error
			lg.Msg(n.Level, "%s", n.Text)
		}
		for line := range errorLines(oe) {
			lg.Msg(logging.Fatal, "%s", line)
		}
		return exitError
	}
	if opts != nil {
		for _, n := range opts.Notes {
			switch {
			case n.Level.Verb() > opts.Verb:
			case opts.SuppressTimestamps:
				fmt.Fprintln(out, n.Text)
			default:
				stamp(out, n.Text)
			}
		}
	}
	for line := range errorLines(oe) {
		fmt.Fprintln(out, line)
	}
	if near := config.Nearest(oe.Option); near != "" && len(env.Args0) > 0 { // not under stock's name
		fmt.Fprintf(out, "Did you mean --%s? moongate check tells all mistakes at once.\n", near)
	}
	return exitError
}

// errorLines are the lines of an option error: its text, and the hint about help or the usual end of a fatal one.
func errorLines(e *config.Error) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, text := range append(slices.Clone(e.Before), e.Error()) {
			for line := range strings.SplitSeq(text, "\n") {
				if !yield(line) {
					return
				}
			}
		}
		switch {
		case e.Fatal:
			yield(exiting)
		case e.Usage:
			yield(config.UsageHint)
		}
	}
}

// exiting follows every fatal error.
const exiting = "Exiting due to fatal error"

func logConfig(o *config.Options, env Env) logging.Config {
	return logging.Config{
		Verb: o.Verb, Mute: o.Mute, File: o.Log, Append: o.LogAppend, Syslog: o.Syslog, Ident: o.Ident,
		SuppressTimestamps: o.SuppressTimestamps, MachineReadableOutput: o.MachineReadableOutput,
		ErrorsToStderr: o.ErrorsToStderr, Stdout: env.Stdout, Stderr: env.Stderr,
	}
}
