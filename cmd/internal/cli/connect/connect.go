// Package connect holds "connect", the VPN client for a person at a shell, and "disconnect", its end.
//
// connect starts the daemon of this program with a management socket under the profile's name. All that a person sees and answers goes
// over that socket, as with any other management client.
package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags.
type Options struct {
	file, name string
	more       []string // options of the daemon, behind the file's
	background bool
	browser    string
	timeout    time.Duration
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "connect FILE [flags] [-- --any-openvpn-option …]", Short: "Connect to a VPN by its profile, answering its questions at the terminal",
		Long: "Connect to a VPN by the configuration FILE and show each step. Whatever the server wants to know is asked at the terminal: user name,\n" +
			"password, one-time code, the passphrase of the key; for a login in the browser, the browser opens, or the address is shown with a QR code.\n" +
			"Ctrl-C disconnects. Under --background the command ends when the tunnel is up, and moongate disconnect NAME ends it.\n\n" +
			"NAME is the name of FILE without its ending, or --name. While the tunnel is there, moongate -a NAME status and all other commands reach it.\n" +
			"Files that FILE names are looked for in its folder. Options behind -- are added to those of FILE.\n\n" +
			"Exit codes: 0 connected and ended as asked, 1 the tunnel cannot be made on this machine, 2 FILE has mistakes, 3 the connection ended by itself,\n" +
			"4 one side refused the other, 5 nothing was reached in time or Ctrl-C came before the tunnel was up, 6 NAME is connected already.",
		Example: "  moongate connect office.ovpn\n  moongate connect office.ovpn --background && moongate -a office status\n  moongate connect office.ovpn --browser print -- --verb 4",
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); len(args) == 0 || n == 0 || n < 0 && len(args) > 1 || n > 1 {
				return errors.New("want one FILE; options of the daemon go behind --")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file, o.more = args[0], args[1:]
			return run(cmd.Context(), e, o)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"ovpn", "conf"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`NAME` for -a and disconnect (default FILE's without its ending)")
	f.BoolVarP(&o.background, "background", "b", false, "end when the tunnel is up, and leave it there")
	f.StringVar(&o.browser, "browser", "open", "how to log in by browser: open it, or only print the address")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "longest wait for the tunnel, from the start and from each answer")
	_ = cmd.RegisterFlagCompletionFunc("browser", cobra.FixedCompletions([]string{"open", "print"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check completes the options and refuses what cannot work.
func (o *Options) check() error {
	if o.browser != "open" && o.browser != "print" {
		return env.Usagef("--browser %q: want open or print", o.browser)
	}
	if o.timeout <= 0 {
		return env.Usagef("--timeout must be above 0")
	}
	if o.name == "" {
		o.name = strings.TrimSuffix(filepath.Base(o.file), filepath.Ext(o.file))
	}
	if err := target.CheckName(o.name); err != nil {
		return env.Usagef("%v; choose another with --name", err)
	}
	var err error
	if o.file, err = filepath.Abs(o.file); err != nil {
		return err
	}
	if _, err := os.Stat(o.file); err != nil {
		return env.Usagef("%v", err)
	}
	return nil
}

func run(ctx context.Context, e *env.Env, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	sock := filepath.Join(target.New(e.Getenv).RunDir, o.name+".sock")
	if err := free(o.name, sock); err != nil {
		return err
	}
	args := daemonArgs(o, sock)
	if err := profile(e, args); err != nil {
		return err
	}
	// A terminal that closes ends the tunnel as Ctrl-C does: the daemon is in a session of its own and would stay.
	ctx, stop := signal.NotifyContext(ctx, hangUp...)
	defer stop()

	d, err := start(args)
	if err != nil {
		return err
	}
	c, err := d.dial(ctx, sock, client.Options{DialTimeout: e.Timeout, GreetingTimeout: e.Timeout, ReplyTimeout: e.Timeout})
	if err != nil {
		d.end(nil)
		return err
	}
	defer c.Close()
	s := newSession(e, o, c)
	err = s.run(ctx)
	if o.background && err == nil {
		return nil
	}
	d.end(c)
	if s.connected && (err == nil || ctx.Err() != nil) {
		s.say("disconnected")
		return nil
	}
	return err
}

// free refuses a name that is connected, and prepares the folder of sockets.
func free(name, sock string) error {
	if err := os.MkdirAll(filepath.Dir(sock), 0o755); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; a tunnel needs root: run it with sudo", err)
	} else if err != nil {
		return err
	}
	c, err := net.DialTimeout("unix", sock, time.Second)
	if err != nil {
		return nil // nothing there, or a socket that a daemon left behind
	}
	c.Close()
	return fmt.Errorf("%w: %s is connected already; moongate -a %[2]s status shows it, moongate disconnect %[2]s ends it", env.ErrCondition, name)
}

// daemonArgs is the command line of the daemon. What stands behind the file wins over it.
func daemonArgs(o Options, sock string) []string {
	args := []string{"--log", os.DevNull, "--cd", filepath.Dir(o.file), "--config", o.file}
	args = append(args, o.more...)
	return append(args, "--management", sock, "unix", "--management-hold", "--management-query-passwords", "--auth-retry", "interact",
		"--setenv", "IV_SSO", "webauth,openurl,crtext")
}

// profile shows the mistakes of the profile, if it has any.
func profile(e *env.Env, args []string) error {
	var wrong []string
	for _, f := range e.CheckConfig(args) {
		if f.Severity == report.SeverityError {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message))
		}
	}
	if len(wrong) > 0 {
		return env.Usagef("the profile has mistakes:\n%s", strings.Join(wrong, "\n"))
	}
	return nil
}
