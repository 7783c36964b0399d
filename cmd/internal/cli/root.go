// Package cli is the command tree: one folder per command below it, and Main, where a run begins and an error becomes an exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/attach"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/clients"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/connect"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/fleet"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/follow"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/genkey"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/history"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/kill"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/lines"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/man"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/mux"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/past"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/record"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/reload"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/script"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/secrets"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/simple"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/targets"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/top"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/wait"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/web"
	"github.com/moongate-vpn/moongate/cmd/internal/demo"
)

// Program holds what main brings along.
type Program struct {
	Version string
	// Daemon runs the daemon with OpenVPN's command line. args0 are the arguments in front of it, for a daemon that starts
	// itself again.
	Daemon func(ctx context.Context, args, args0 []string) int
	// CheckConfig reads a daemon's command line with the files it names and returns all there is to say about it.
	CheckConfig func(args []string) []report.Finding
}

// Main runs the program with the process's arguments and streams and returns the exit code.
func Main(p Program, argv []string) int {
	ctx := context.Background()
	// the daemon has its own command line and its own signals
	if strings.TrimSuffix(filepath.Base(argv[0]), ".exe") == "openvpn" {
		return p.Daemon(ctx, argv[1:], nil)
	}
	if len(argv) > 1 && argv[1] == "daemon" && !onlyHelp(argv[2:]) {
		return p.Daemon(ctx, daemonArgs(argv[2:]), argv[1:2])
	}
	signal.Ignore(syscall.SIGPIPE) // a reader that went is an error of the write, and no failure
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, CheckConfig: p.CheckConfig,
		InTTY: term.IsTerminal(int(os.Stdin.Fd())), OutTTY: term.IsTerminal(int(os.Stdout.Fd())), ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
	}
	e.OpenTerminal()
	if e.OutTTY {
		e.Width, _, _ = term.GetSize(int(os.Stdout.Fd()))
	}
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	defer env.WatchOutput(os.Stdout, func() { gone(env.ErrOutputGone) })()
	return Run(ctx, e, p.Version, argv[1:])
}

// daemonArgs lets a FILE stand in front of options. Stock's own command line, which "openvpn" keeps, takes it only alone.
func daemonArgs(args []string) []string {
	if len(args) > 1 && !strings.HasPrefix(args[0], "--") {
		return append([]string{"--config"}, args...)
	}
	return args
}

// onlyHelp reports whether the arguments of "daemon" ask for our page about it.
func onlyHelp(args []string) bool { return len(args) == 1 && (args[0] == "-h" || args[0] == "--help") }

// Run runs one command, on each of the targets that -a names, and prints its error. A command whose output could not be written has
// failed, except where its reader went.
func Run(ctx context.Context, e *env.Env, version string, args []string) int {
	out := &output{Writer: e.Out}
	e.Out = out
	code := run(ctx, e, version, args)
	if err := out.failure(); code == env.CodeDone && env.Code(err) != env.CodeDone {
		return finish(ctx, e.Err, "moongate: ", fmt.Errorf("the output is not complete: %w", err))
	}
	return code
}

func run(ctx context.Context, e *env.Env, version string, args []string) int {
	err := execute(ctx, e, version, args)
	var several *severalTargets
	if errors.As(err, &several) {
		return fanOut(ctx, e, version, args, several)
	}
	var on *elsewhere
	if errors.As(err, &on) {
		return Run(ctx, e, version, on.args)
	}
	return finish(ctx, e.Err, "moongate: ", err)
}

// execute runs one command.
func execute(ctx context.Context, e *env.Env, version string, args []string) error {
	root := NewRoot(e, version)
	var wrong error
	helpPages(root, e.Width, &wrong)
	root.SetArgs(args)
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.Err)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return wrong
}

// finish prints err behind prefix and returns its exit code.
func finish(ctx context.Context, w io.Writer, prefix string, err error) int {
	if errors.Is(err, context.Canceled) {
		err = env.ErrInterrupted // one that goes on until then has returned nil
		if errors.Is(context.Cause(ctx), env.ErrOutputGone) {
			err = fmt.Errorf("%w: %w", env.ErrInterrupted, env.ErrOutputGone)
		}
	}
	code := env.Code(err)
	var silent lines.Silent
	if code != env.CodeDone && !errors.As(err, &silent) {
		printError(w, prefix, err)
	}
	return code
}

const long = `moongate makes OpenVPN programmable: a daemon in place of openvpn, and commands, a prompt and Lua
scripts for any management port, moongate's or stock OpenVPN's.

The port is chosen by -a or MOONGATE_ADDR: HOST:PORT, tls://HOST:PORT, a path, ssh://HOST/PATH, or a name (moongate targets);
"fleet" stands for all nodes of a fleet (moongate fleet).
Without them it is the only socket in /run/moongate, else 127.0.0.1:7505. Several -a, or a pattern of names, run a command
on all of them; the exit code is then the highest.

Exit codes: 0 done, 1 the daemon answered ERROR, 2 wrong usage, 3 daemon not reached or lost,
4 refused, 5 timed out or interrupted, 6 the asked-for condition does not hold.`

// NewRoot builds the command tree.
func NewRoot(e *env.Env, version string) *cobra.Command {
	root := &cobra.Command{
		Use: "moongate", Short: "OpenVPN, programmable", Long: long, Version: version,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return prepare(e, cmd) },
	}
	root.SetVersionTemplate("moongate {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringArrayVarP(&e.Addrs, "addr", "a", nil, "management `ADDRESS`, path, name or pattern of names (repeatable; default MOONGATE_ADDR, the only socket in "+
		target.RunDir+", or "+target.Default+")")
	f.StringVar(&e.Password, "password", "", "where the management password is: `REFERENCE` such as file:PATH, env:NAME, pass:NAME, cmd:PROGRAM")
	f.BoolVar(&e.NoAsk, "no-ask", false, "never ask for a password at the terminal (default MOONGATE_NO_ASK)")
	f.StringVar(&e.PasswordFile, "password-file", "", "`FILE` with the management password in its first line (default MOONGATE_PASSWORD_FILE)")
	f.StringVar(&e.CA, "ca", "", "`FILE` of authorities for tls:// addresses (default MOONGATE_CA or the system's)")
	f.StringVar(&e.Cert, "cert", "", "`FILE` of the certificate to show at tls:// addresses (default MOONGATE_CERT)")
	f.StringVar(&e.Key, "key", "", "`FILE` of its key (default MOONGATE_KEY)")
	f.StringVarP(&e.Format, "output", "o", "table", "table, json or raw")
	f.BoolVar(&e.JSON, "json", false, "same as -o json")
	f.DurationVar(&e.Timeout, "reply-timeout", 5*time.Second, "longest wait for the connection, the greeting and each reply")
	_ = root.RegisterFlagCompletionFunc("addr", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return target.New(e.Getenv).Names(), cobra.ShellCompDirectiveDefault
	})
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "raw"}, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(flagError)

	root.AddGroup(&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "act", Title: "Act:"}, &cobra.Group{ID: "other", Title: "Prompt, scripts and the rest:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			wrapArgs(c)
			root.AddCommand(c)
		}
	}
	add("look", status.NewCmds(e)...)
	add("look", clients.NewCmd(e))
	add("look", history.NewCmds(e)...)
	add("look", follow.NewCmds(e)...)
	add("act", simple.NewCmds(e)...)
	add("act", secrets.NewCmds(e)...)
	add("act", reload.NewCmd(e))
	add("act", kill.NewCmd(e))
	add("act", lines.NewCmds(e)...)
	add("look", wait.NewCmd(e))
	add("look", top.NewCmd(e))
	add("look", script.NewList(e))
	add("look", env.Mark(env.NoDaemon, "yes", past.NewCmds(e)...)...)
	add("look", web.NewCmd(e))
	add("act", env.Mark(env.NoDaemon, "yes", connect.NewCmd(e), connect.NewDisconnect(e))...)
	add("other", env.Mark(env.NoDaemon, "yes", attach.NewCmd(e, shell{version}))...) // it resolves its argument by itself
	add("act", onCmd())
	add("other", targets.NewCmd(e))
	add("other", env.Mark(env.NoDaemon, "yes", fleet.NewCmd(e))...)
	add("other", env.Mark(env.OneTarget, "yes", script.NewCmds(e)...)...)
	add("other", env.Mark(env.OneTarget, "yes", record.NewCmds(e)...)...)
	add("other", env.Mark(env.NoDaemon, "yes", mux.NewCmd(e), daemonCmd(), genkey.NewCmd(e), demoCmd(e), man.NewCmd(e, root))...)
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	return root
}

// daemonCmd is the page about the daemon: Main hands the daemon its arguments before cobra sees them, unless flags of ours stand in front.
func daemonCmd() *cobra.Command {
	return &cobra.Command{
		Use: "daemon [FILE] [--any-openvpn-option …]", Short: "Run the VPN daemon, in place of openvpn",
		Long: "Run the VPN daemon with OpenVPN's own configuration files and command line; FILE in front of options is read first, as with\n" +
			"--config. The same happens when this program is called openvpn, with stock's grammar: a FILE stands alone.",
		Example: "  moongate daemon client.conf\n  moongate daemon client.conf --script answer.lua --verb 4\n  moongate daemon --config client.conf --management 127.0.0.1 7505", DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if help := args[max(0, len(args)-1):]; len(args) == 0 || onlyHelp(help) {
				return cmd.Help()
			}
			return env.Usagef("daemon takes OpenVPN's options alone, and nothing may stand in front of it: moongate daemon [FILE] [--any-openvpn-option …]")
		},
	}
}

// demoCmd plays cmd/internal/demo with this binary.
func demoCmd(e *env.Env) *cobra.Command {
	var keep, noPrompt, fleet bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Bring up a tunnel between two network namespaces, and take it down again",
		Long: "Bring up a server and a client in two network namespaces, let a Lua hook answer the password prompt, ping through the tunnel.\n" +
			"At a terminal the prompt opens on the client. It needs iproute2, and root where users may not make namespaces.",
		Example: "  moongate demo\n  moongate demo --fleet\n  moongate demo --keep", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			return env.UntilInterrupted(demo.Run(cmd.Context(), demo.Options{
				Out: e.Out, Err: e.Err, Program: program, Prompt: e.InTTY && e.OutTTY && !noPrompt, Stdin: os.Stdin, Stdout: os.Stdout, Keep: keep, Fleet: fleet,
				Bold: e.Colours(),
			}))
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the folder with certificates, configurations and logs behind")
	cmd.Flags().BoolVar(&fleet, "fleet", false, "play a fleet of three servers, one of which is killed")
	cmd.Flags().BoolVar(&noPrompt, "no-prompt", false, "do not open the prompt at the end")
	return cmd
}

// wrapArgs makes a wrong number of arguments a usage error with the synopsis.
func wrapArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return env.Usagef("%v\nusage: %s", err, cmd.UseLine())
		}
		return nil
	}
}
