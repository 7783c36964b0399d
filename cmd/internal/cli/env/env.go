// Package env is what every command gets: streams, the connection to a daemon, output formats, and the one place where kinds
// of errors become exit codes.
//
// Data goes to Out, talk to Err. A command returns an error and prints none.
package env

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Env is the world of one run of the program.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	InTTY    bool // In is a terminal
	OutTTY   bool // Out is a terminal

	// CheckConfig reads a daemon's command line with the files it names. The error tells all that is wrong.
	CheckConfig func(args []string) (warnings []string, err error)

	// Set by the global flags.
	Addr         string
	PasswordFile string
	CA           string        // file of authorities for tls:// addresses; empty: those of the system
	Cert, Key    string        // files of the certificate to show, with its key
	Format       string        // "table", "json" or "raw"
	JSON         bool          // --json
	Timeout      time.Duration // of the dial, the greeting and each reply
}

// DefaultAddr is used without -a and MOONGATE_ADDR.
const DefaultAddr = "127.0.0.1:7505"

// Target is the management address to use.
func (e *Env) Target() string {
	if e.Addr != "" {
		return e.Addr
	}
	if a := e.Getenv("MOONGATE_ADDR"); a != "" {
		return a
	}
	return DefaultAddr
}

// ClientOptions are the options of a connection as the flags ask for them.
func (e *Env) ClientOptions() (client.Options, error) {
	o := client.Options{DialTimeout: e.Timeout, GreetingTimeout: e.Timeout, ReplyTimeout: e.Timeout}
	file := e.PasswordFile
	if file == "" {
		file = e.Getenv("MOONGATE_PASSWORD_FILE")
	}
	if file != "" {
		o.Password = func(context.Context) (string, error) { return FirstLine(file) }
	}
	var err error
	o.TLS, err = e.TLS()
	return o, err
}

// FirstLine reads the first line of a file, without its end or a byte order mark.
func FirstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(string(b), "\ufeff"), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// Dial opens a session with the target.
func (e *Env) Dial(ctx context.Context) (*client.Client, error) { return e.DialTraced(ctx, nil) }

// DialTraced is Dial with a client.Options.Trace.
func (e *Env) DialTraced(ctx context.Context, trace func(fromDaemon bool, line string)) (*client.Client, error) {
	if _, err := client.ParseAddr(e.Target()); err != nil {
		return nil, Usagef("%v", err)
	}
	o, err := e.ClientOptions()
	if err != nil {
		return nil, err
	}
	o.Trace = trace
	return client.Dial(ctx, e.Target(), o)
}

// With runs f on a session that is closed afterwards.
func (e *Env) With(ctx context.Context, f func(ctx context.Context, c *client.Client) error) error {
	c, err := e.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(ctx, c)
}

// Resolve settles the output format from -o and --json.
func (e *Env) Resolve() error {
	if e.JSON {
		e.Format = "json"
	}
	switch e.Format {
	case "":
		e.Format = "table"
	case "table", "json", "raw":
	default:
		return Usagef("output format %q: want table, json or raw", e.Format)
	}
	return nil
}

// WriteJSON prints one object on one line.
func (e *Env) WriteJSON(v any) error {
	enc := json.NewEncoder(e.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// WriteLines prints lines.
func (e *Env) WriteLines(lines ...string) error {
	for _, l := range lines {
		if _, err := fmt.Fprintln(e.Out, Clean(l)); err != nil {
			return err
		}
	}
	return nil
}

// Clean replaces what would steer the terminal in a daemon's text. TAB stays.
func Clean(s string) string { return mgmt.Plain(s) }

// Time is a time in JSON and tables: seconds, in UTC for machines.
func Time(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Exit codes. Scripts depend on them: they never change.
const (
	CodeDone        = 0 // done
	CodeDaemon      = 1 // the daemon answered ERROR, or a script failed
	CodeUsage       = 2 // wrong usage
	CodeUnreachable = 3 // could not reach or lost the daemon
	CodeRefused     = 4 // password or role
	CodeTimeout     = 5 // timed out, or interrupted before it was done
	CodeCondition   = 6 // the asked-for condition does not hold
)

// UsageError is a mistake on the command line.
type UsageError struct{ Text string }

// Error is the text.
func (e *UsageError) Error() string { return e.Text }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// ErrTimeout means that waiting took too long; ErrInterrupted that a signal ended it; ErrCondition that a condition does
// not hold.
var (
	ErrTimeout     = errors.New("timed out")
	ErrInterrupted = errors.New("interrupted")
	ErrCondition   = errors.New("the condition does not hold")
)

// UntilInterrupted is the error of a command that goes on until it is interrupted: that is its proper end.
func UntilInterrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Exiter is an error that brings its own exit code.
type Exiter interface{ ExitCode() int }

// Code maps an error to an exit code.
func Code(err error) int {
	var usage *UsageError
	var reply *client.ReplyError
	var unreachable *client.UnreachableError
	var exiter Exiter
	switch {
	case err == nil:
		return CodeDone
	case errors.As(err, &exiter):
		return exiter.ExitCode()
	case errors.As(err, &usage), errors.Is(err, client.ErrLine):
		return CodeUsage
	case errors.Is(err, client.ErrPassword), errors.Is(err, client.ErrCertificate), errors.Is(err, client.ErrRefused):
		return CodeRefused
	case errors.As(err, &unreachable), errors.Is(err, client.ErrLost), errors.Is(err, client.ErrNotManagement):
		return CodeUnreachable // also when a time limit is the reason: what counts is what was not reached
	case errors.As(err, &reply):
		if strings.HasPrefix(reply.Text, "the '"+reply.Cmd+"' command is not permitted") {
			return CodeRefused
		}
		return CodeDaemon
	case errors.Is(err, client.ErrNoGreeting), errors.Is(err, client.ErrTimeout), errors.Is(err, ErrTimeout),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		return CodeTimeout
	case errors.Is(err, ErrCondition):
		return CodeCondition
	}
	return CodeDaemon
}

// Hint says what to try, for errors where that is known.
func Hint(err error) string {
	var unreachable *client.UnreachableError
	switch {
	case errors.As(err, &unreachable):
		return "is the daemon running with --management? choose its address with -a or MOONGATE_ADDR"
	case errors.Is(err, client.ErrPassword):
		return "the first line of --password-file must be the management password"
	case errors.Is(err, client.ErrCertificate):
		return "show a certificate that the daemon's management-tls accepts with --cert and --key"
	case errors.Is(err, client.ErrNoGreeting):
		return "stock OpenVPN serves one program at a time"
	}
	return ""
}
