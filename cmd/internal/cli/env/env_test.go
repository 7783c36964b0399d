package env

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

type exits int

func (e exits) Error() string { return "x" }
func (e exits) ExitCode() int { return int(e) }

func TestCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, CodeDone},
		{UntilInterrupted(context.Canceled), CodeDone},
		{UntilInterrupted(client.ErrLost), CodeUnreachable},
		{context.Canceled, CodeTimeout},
		{ErrInterrupted, CodeTimeout},
		{&client.ReplyError{Cmd: "kill", Text: "common name 'x' not found"}, CodeDaemon},
		{&client.ReplyError{Cmd: "kill", Text: "common name 'role model, not permitted' not found"}, CodeDaemon},
		{&client.ReplyError{Cmd: "kill", Text: "the 'kill' command is not permitted here, it needs the role operate"}, CodeRefused},
		{Usagef("which?"), CodeUsage},
		{client.ErrLine, CodeUsage},
		{&client.UnreachableError{Addr: "x", Err: fmt.Errorf("refused")}, CodeUnreachable},
		{&client.UnreachableError{Addr: "x", Err: context.DeadlineExceeded}, CodeUnreachable},
		{&client.UnreachableError{Addr: "x", Err: os.ErrDeadlineExceeded}, CodeUnreachable},
		{fmt.Errorf("%w: %w", client.ErrLost, os.ErrDeadlineExceeded), CodeUnreachable},
		{client.ErrLost, CodeUnreachable},
		{client.ErrNotManagement, CodeUnreachable},
		{client.ErrPassword, CodeRefused},
		{fmt.Errorf("%w: %w", client.ErrPassword, client.ErrLost), CodeRefused},
		{client.ErrNoGreeting, CodeTimeout},
		{client.ErrTimeout, CodeTimeout},
		{ErrTimeout, CodeTimeout},
		{context.DeadlineExceeded, CodeTimeout},
		{ErrCondition, CodeCondition},
		{exits(42), 42},
	} {
		if tt.err != nil {
			if got := Code(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
				t.Errorf("%v: code %d, want %d", tt.err, got, tt.want)
			}
		}
		if got := Code(tt.err); got != tt.want {
			t.Errorf("%v: code %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestCleanKeepsTextAndDropsEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "tab\there": "tab\there", "\x1b[2Jx": "\uFFFD[2Jx", "größe": "größe", "a\rb": "a b", "a\u202eb\u2066": "a\uFFFDb\uFFFD", "\u009b1m": "\uFFFD1m",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A command that only moongate's daemon has says so where it is not known, in the words of both releases of stock.
func TestHintForAnUnknownCommand(t *testing.T) {
	for _, text := range []string{"unknown command, enter 'help' for more options", "unknown command [scripts], enter 'help' for more options"} {
		err := fmt.Errorf("x: %w", &client.ReplyError{Cmd: "scripts", Text: text})
		if got := Hint(err); got != "the daemon has no command scripts: it is stock OpenVPN, or older than this moongate" {
			t.Errorf("%s: hint %q", text, got)
		}
	}
}
