package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// notAllowed is the hint logged when script-security forbids a script.
const notAllowed = "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. See --help text or man page for detailed info."

// ErrDisallowed is the cause of an Error when script-security forbids scripts.
var ErrDisallowed = errors.New("disallowed by script-security setting")

// Error is a script that failed. Its text is the stock log line.
type Error struct {
	Tag  string // "--up/--down"
	Code int    // exit status, -1 when it did not run or was killed
	Err  error  // ErrDisallowed, ErrDeadline, or why it could not be started; nil for an exit status
}

func (e *Error) Error() string {
	var what string
	switch {
	case e.Err == nil:
		what = fmt.Sprintf("external program exited with error status: %d", e.Code)
	case errors.Is(e.Err, ErrDisallowed), errors.Is(e.Err, ErrDeadline):
		what = e.Err.Error()
	case errors.Is(e.Err, context.Canceled):
		what = "external program was killed before its end"
	default:
		what = "could not execute external program"
	}
	return fmt.Sprintf("WARNING: Failed running command (%s): %s", e.Tag, what)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Runner starts scripts under the script-security level of a configuration, and tells its plugins of the same events.
type Runner struct {
	Plugins  *plugin.Set // may be nil
	Security int         // script-security: below 2 nothing runs
	Stdout   io.Writer   // where the output of scripts goes, the daemon's own when nil
	Stderr   io.Writer
	Log      logging.Func // told about a script that may not run; may be nil
	// Done is told how each script, and each event that plugins hear of, ended and how long it took. It returns at once; may be nil.
	Done func(c Call, took time.Duration, err error)
}

// done tells Done.
func (r *Runner) done(c Call, since time.Time, err error) {
	if r.Done != nil {
		r.Done(c, time.Since(since), err)
	}
}

// Call is one run of a script.
type Call struct {
	Tag     string   // how failures name it: "--route-up"
	Type    string   // script_type
	Command string   // as configured: a program and arguments, split like an option line
	Args    []string // appended by the daemon
	Env     *Env

	// What plugins get of the same event.
	Event  plugin.Event // 0 for none
	Client uint64       // whose context they get, 0 for the daemon's own
	Depth  int          // of the certificate
	Log    logging.Func
}

// Line returns the command line for the log.
func (c Call) Line() string { return strings.Join(append([]string{c.Command}, c.Args...), " ") }

// Wanted reports whether there is a script, or a plugin that hears of one of the events.
func (r *Runner) Wanted(command string, e plugin.Event) bool {
	return command != "" || r != nil && r.Plugins.Wants(e)
}

// PluginError is an event that a plugin turned down, or that it gave no answer to.
type PluginError struct {
	Tag string // as of Error
	Err error
}

func (e *PluginError) Error() string {
	name := strings.TrimPrefix(e.Tag, "--")
	if name == "up/--down" {
		return "ERROR: up/down plugin call failed"
	}
	return "WARNING: " + name + " plugin call failed"
}

// Unwrap returns the cause.
func (e *PluginError) Unwrap() error { return e.Err }

// TellPlugins tells all plugins that want to hear of the event. It returns nil when all of them succeeded or put off their
// answer, else a *PluginError.
func (r *Runner) TellPlugins(ctx context.Context, c Call) error {
	if r == nil || !r.Plugins.Wants(c.Event) {
		return nil
	}
	since := time.Now()
	_, err := r.Plugins.Call(ctx, plugin.Call{Event: c.Event, Args: c.Args, Env: c.Env.Newest(), Client: c.Client, Depth: c.Depth, Log: c.Log})
	if err != nil {
		err = &PluginError{Tag: c.Tag, Err: err}
	}
	r.done(c, since, err)
	return err
}

// Run starts the script and waits for it. It returns nil for exit status 0, else an *Error. The end of ctx kills
// the script and everything in its process group; without a deadline in ctx OfTunnel holds.
func (r *Runner) Run(ctx context.Context, c Call) error {
	since := time.Now()
	err := r.run(ctx, c)
	r.done(c, since, err)
	return err
}

func (r *Runner) run(ctx context.Context, c Call) error {
	if r.Security < 2 {
		r.Log.OrDiscard()(logging.Warn, "%s", notAllowed)
		return &Error{Tag: c.Tag, Code: -1, Err: ErrDisallowed}
	}
	argv, err := lexer.Split(c.Command, c.Tag)
	if err != nil || len(argv) == 0 {
		return &Error{Tag: c.Tag, Code: -1, Err: errors.Join(errors.New("bad command"), err)}
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = OfTunnel.Context(ctx)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], c.Args...)...)
	cmd.Env = c.Env.With("script_type=" + c.Type).List()
	cmd.Stdout, cmd.Stderr = r.Stdout, r.Stderr
	if cmd.Stdout == nil {
		cmd.Stdout = os.Stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	// A group of its own: what the script started goes with it. Its children may keep our pipes open, so do not
	// wait for them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case Late(ctx):
		return &Error{Tag: c.Tag, Code: -1, Err: ErrDeadline}
	case ctx.Err() != nil:
		return &Error{Tag: c.Tag, Code: -1, Err: ctx.Err()}
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return &Error{Tag: c.Tag, Code: exit.ExitCode()}
	default:
		return &Error{Tag: c.Tag, Code: -1, Err: err}
	}
}
