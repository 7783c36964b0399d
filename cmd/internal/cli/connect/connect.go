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
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt"
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
			"Ctrl-C disconnects, and so does every other end of the command. Under --background it ends when the tunnel is up, and moongate disconnect\n" +
			"NAME ends the tunnel. A login is asked for three times at most.\n\n" +
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
	st, err := os.Stat(o.file)
	if err == nil && !st.Mode().IsRegular() { // the daemon reads it again, and a pipe gives its text once
		err = fmt.Errorf("%s is no regular file: save the profile in one", o.file)
	}
	if err != nil {
		return env.Usagef("%v", err)
	}
	return nil
}

func run(ctx context.Context, e *env.Env, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	sock := filepath.Join(target.New(e.Getenv).RunDir, o.name+".sock")
	args := daemonArgs(o, sock)
	// A terminal that closes ends the tunnel as Ctrl-C does: the daemon is in a session of its own and would stay.
	ctx, stop := signal.NotifyContext(ctx, hangUp...)
	defer stop()

	s := newSession(e, o)
	starting, cancel := context.WithDeadline(ctx, s.deadline)
	defer cancel()
	checked := within(starting, func() error { return profile(e, o.file, daemonArgs(o, filepath.Join(os.TempDir(), o.name+".sock"))) }) // begin makes the folder of sock
	if overdue(checked) {
		return o.late("the profile, or a file that it names, cannot be read")
	}
	if checked != nil {
		return checked
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	d, err := s.begin(starting, sock, program, args)
	if err != nil {
		return err
	}
	defer s.c.Close()
	if err = s.run(ctx); err == nil && o.background {
		return d.letGo()
	}
	d.end(s.c, s.endLimit(), func() { s.say("waiting for the daemon to end") })
	sweep(context.WithoutCancel(ctx), sock)
	if lost := (*lostError)(nil); errors.As(err, &lost) {
		err = d.lost(lost.err)
	}
	if s.connected && (err == nil || ctx.Err() != nil) {
		s.say("disconnected")
		return nil
	}
	return err
}

// late is the error of a wait that is over.
func (o *Options) late(why string) error {
	return fmt.Errorf("%w after %v: %s", env.ErrTimeout, o.timeout, why)
}

// overdue reports whether an error comes from the deadline of a wait.
func overdue(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// within runs what cannot be interrupted, reading from disks that may be away, and leaves it alone when ctx ends.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin starts the program as daemon and dials its port, one name at a time: of two that come at once the second finds the first.
func (s *session) begin(ctx context.Context, sock, program string, args []string) (*daemon, error) {
	unlock, err := claim(ctx, filepath.Dir(sock))
	if overdue(err) {
		return nil, s.o.late("another moongate connect is starting, or ends; run it again")
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	limits := client.Options{DialTimeout: s.e.Timeout, GreetingTimeout: s.e.Timeout, ReplyTimeout: s.e.Timeout}
	if err := free(ctx, s.o.name, sock, limits); err != nil {
		return nil, err
	}
	d, err := start(program, args)
	if err != nil {
		return nil, err
	}
	s.c, err = d.dial(ctx, sock, limits)
	if err == nil {
		if err = handOver(s.e.Getenv, sock); err != nil {
			s.c.Close()
		}
	}
	if err != nil {
		d.end(nil, s.endLimit(), func() {})
		if overdue(err) {
			return nil, s.o.late("the daemon does not open its port " + sock)
		}
		return nil, err
	}
	return d, nil
}

// claim makes the folder of sockets and locks it.
func claim(ctx context.Context, dir string) (unlock func(), err error) {
	if err = os.MkdirAll(dir, 0o755); err == nil {
		unlock, err = lock(ctx, dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, cause{text: err.Error() + "; a tunnel needs root: run it with sudo", kind: errMachine}
	}
	return unlock, err
}

// free refuses a name that is in use.
func free(ctx context.Context, name, sock string, o client.Options) error {
	c, err := client.Dial(ctx, sock, o)
	if nobody := (*client.UnreachableError)(nil); errors.As(err, &nobody) {
		return nil // nothing there, or a socket that a daemon left behind
	}
	what := "is in use"
	if err == nil {
		defer c.Close()
		if st, err := c.State(ctx); err == nil {
			if what = "is connected already"; st.Name != mgmt.StateConnected {
				what = "is there already, in the state " + st.Name
			}
		}
	}
	return cause{text: fmt.Sprintf("%s %s; moongate -a %[1]s status shows it, moongate disconnect %[1]s ends it", name, what), kind: errThere}
}

// handOver gives the socket, which is for its owner alone, to the user who called sudo.
func handOver(getenv func(string) string, sock string) error {
	if uid, gid, ok := sudoer(getenv); ok {
		return os.Lchown(sock, int(uid), int(gid))
	}
	return nil
}

// sudoer is the user who called sudo, false without sudo.
func sudoer(getenv func(string) string) (uid, gid uint32, ok bool) {
	u, err1 := strconv.ParseUint(getenv("SUDO_UID"), 10, 32)
	g, err2 := strconv.ParseUint(getenv("SUDO_GID"), 10, 32)
	return uint32(u), uint32(g), err1 == nil && err2 == nil && os.Geteuid() == 0
}

// daemonArgs is the command line of the daemon. What stands behind the file wins over it.
func daemonArgs(o Options, sock string) []string {
	args := []string{"--cd", filepath.Dir(o.file), "--config", o.file}
	args = append(args, o.more...)
	return append(args, "--management", sock, "unix", "--management-hold", "--management-query-passwords", "--auth-retry", "interact",
		"--setenv", "IV_SSO", sso)
}
