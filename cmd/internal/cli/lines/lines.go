// Package lines sends raw management lines one after another, from arguments or a stream, and prints what comes back. It serves
// "raw", "attach -c" and piped input.
package lines

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewCmd returns "raw".
func NewCmd(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "raw WORD…", Short: "Send one management command and print the reply as it came",
		Long: "Send one management command. One argument is sent as it is, several are quoted word by word. The lines of a command that\n" +
			"takes a block (client-auth, pk-sig, rsa-sig, certificate) are read from standard input.",
		Example: "  moongate raw status 2\n  moongate raw 'log on 5'\n  moongate raw client-auth 0 1 < client.conf",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			line := args[0]
			if len(args) > 1 {
				line = client.Line(args...)
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if !client.IsBlock(line) {
					return one(ctx, e, c, line)
				}
				block, err := readBlock(bufio.NewScanner(e.In))
				if err != nil {
					return err
				}
				r, err := c.Block(ctx, line, block)
				return finish(e, r, err)
			})
		},
	}
}

// Run sends lines from next until it says io.EOF, a line ends the session, or the session is lost. Notifications are printed as they come.
// The first ERROR of the daemon is returned at the end; lines after it are sent nevertheless.
func Run(ctx context.Context, e *env.Env, c *client.Client, in io.Reader) error {
	sub := c.Subscribe()
	sc := bufio.NewScanner(in)
	var first error
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), "\r")
		var r client.Reply
		var err error
		if client.IsBlock(line) {
			var block []string
			if block, err = readBlock(sc); err == nil {
				r, err = c.Block(ctx, line, block)
			}
		} else {
			r, err = c.Cmd(ctx, line)
		}
		flush(e, sub)
		err = finish(e, r, err)
		var reply *client.ReplyError
		if err != nil && !errors.As(err, &reply) {
			return err
		}
		if first == nil {
			first = err
		}
		if word := strings.TrimSpace(line); word == "exit" || word == "quit" {
			return first
		}
	}
	flush(e, sub)
	if err := sc.Err(); err != nil {
		return err
	}
	return first
}

// flush prints what is queued.
func flush(e *env.Env, sub *client.Subscription) {
	for {
		n, ok := sub.TryNext()
		if !ok {
			return
		}
		for _, l := range client.NotificationLines(n) {
			e.WriteLines(client.Redact(l))
		}
	}
}

func one(ctx context.Context, e *env.Env, c *client.Client, line string) error {
	r, err := c.Cmd(ctx, line)
	return finish(e, r, err)
}

// Silent marks an error whose text is on Out already.
type Silent struct{ error }

// Unwrap returns the error itself.
func (s Silent) Unwrap() error { return s.error }

// finish prints a reply, also one that is an ERROR.
func finish(e *env.Env, r client.Reply, err error) error {
	if werr := e.WriteLines(r.Raw...); werr != nil {
		return werr
	}
	var reply *client.ReplyError
	if errors.As(err, &reply) && len(r.Raw) > 0 {
		return Silent{err}
	}
	return err
}

// readBlock reads up to a line END or the end of the input.
func readBlock(sc *bufio.Scanner) ([]string, error) {
	var block []string
	for sc.Scan() {
		l := strings.TrimRight(sc.Text(), "\r")
		if l == "END" {
			break
		}
		block = append(block, l)
	}
	return block, sc.Err()
}
