package env

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// Exit codes. Scripts depend on them: they never change.
const (
	CodeDone        = 0 // done
	CodeDaemon      = 1 // the daemon answered ERROR, a script failed, or the output could not be written
	CodeUsage       = 2 // wrong usage
	CodeUnreachable = 3 // could not reach or lost the daemon
	CodeRefused     = 4 // password, certificate, role, or a socket that is not for this user
	CodeTimeout     = 5 // timed out, or interrupted before it was done
	CodeCondition   = 6 // the asked-for condition does not hold
)

// UsageError is a mistake on the command line.
type UsageError struct{ Text string }

// Error is the text.
func (e *UsageError) Error() string { return e.Text }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// ErrOutputGone means that nobody reads our output any more, as after "| head -1".
var ErrOutputGone = errors.New("nobody reads the output")

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
	var noSecret *secret.Error
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // who closed our output had enough
		return CodeDone
	case errors.As(err, &exiter):
		return exiter.ExitCode()
	case errors.As(err, &usage), errors.Is(err, client.ErrLine):
		return CodeUsage
	case errors.Is(err, client.ErrPassword), errors.Is(err, client.ErrCertificate), errors.Is(err, client.ErrRefused), errors.As(err, &noSecret):
		return CodeRefused
	case errors.As(err, &unreachable) && errors.Is(err, fs.ErrPermission), errors.Is(err, target.ErrClosed):
		return CodeRefused
	case errors.As(err, &unreachable), errors.Is(err, client.ErrLost), errors.Is(err, client.ErrNotManagement):
		return CodeUnreachable // also when a time limit is the reason: the address was not reached
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
	var reply *client.ReplyError
	switch {
	case errors.As(err, &reply) && strings.HasPrefix(reply.Text, "choose a daemon first"):
		return "the address ADDRESS#NAME chooses one of those that share a port"
	case errors.As(err, &reply) && strings.HasPrefix(reply.Text, "unknown command"):
		return "the daemon has no command " + reply.Cmd + ": it is stock OpenVPN, or older than this moongate"
	case errors.As(err, &unreachable) && target.IsFleet(unreachable.Addr):
		return "is its daemon running? moongate fleet status says how the nodes are"
	case errors.As(err, &unreachable) && errors.Is(err, fs.ErrPermission):
		return "the socket is for another user or group: sudo, or the group moongate for sockets of the packaged units"
	case errors.As(err, &unreachable) && unreachable.Addr == target.Default && target.New(os.Getenv).Closed():
		return target.RunDir + " has the sockets of this machine and is not for this user: sudo, or its group moongate"
	case errors.As(err, &unreachable):
		return "is the daemon running with --management? choose its address with -a or MOONGATE_ADDR"
	case errors.Is(err, client.ErrPassword):
		return "give the management password with --password-file or --password, or at a terminal without --no-ask"
	case errors.Is(err, client.ErrCertificate):
		return "show a certificate that the daemon's management-tls accepts with --cert and --key"
	case errors.Is(err, client.ErrNoGreeting):
		return "stock OpenVPN serves one program at a time"
	}
	return ""
}
