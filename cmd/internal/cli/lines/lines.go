// Package lines sends raw management lines one after another, from arguments or a stream, and prints what comes back. It holds "raw" and
// "exec" and serves "attach -c" and piped input.
package lines

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	raw := &cobra.Command{
		Use: "raw WORD…", Short: "Send one management command and print the reply as it came",
		Long: "Send one management command. One argument is sent as it is, several are quoted word by word. The lines of a command that\n" +
			"takes a block (client-auth, pk-sig, rsa-sig, certificate) are read from standard input, up to END or its end; an empty input is\n" +
			"refused, END alone is an empty block.",
		Example: "  moongate raw status 2\n  moongate raw 'log on 5'\n  moongate raw client-auth 0 1 < client.conf",
		Args:    cobra.MinimumNArgs(1), Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, args []string) error {
			line := args[0]
			if len(args) > 1 {
				line = client.Line(append([]string(nil), args...)...)
			}
			var block []string
			if client.IsBlock(line) {
				var ended bool
				var err error
				if block, ended, err = readBlock(bufio.NewScanner(e.In)); err != nil {
					return err
				}
				if len(block) == 0 && !ended {
					return env.Usagef("standard input is empty: give the lines of the block, or END alone for an empty one")
				}
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := send(ctx, c, line, block)
				return finish(e, line, r, err)
			})
		},
	}
	var keepGoing bool
	exec := &cobra.Command{
		Use: "exec LINE…", Short: "Send several management commands on one connection",
		Long: "Send each LINE as a management command, all on one connection, and print the replies as they came. It stops at the first ERROR\n" +
			"(exit code 1) unless --keep-going is set. The lines after a command that takes a block, up to END, are its block.",
		Example: "  moongate exec 'log on' 'hold release' 'state'\n  moongate exec 'client-auth 0 1' 'push \"route 10.20.0.0 255.255.0.0\"' END",
		Args:    cobra.MinimumNArgs(1), Annotations: map[string]string{env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return Run(ctx, e, c, strings.NewReader(strings.Join(args, "\n")+"\n"), keepGoing)
			})
		},
	}
	exec.Flags().BoolVar(&keepGoing, "keep-going", false, "go on after an ERROR; the exit code is still 1")
	return []*cobra.Command{raw, exec}
}

// Run sends lines from in until its end, a line ends the session, or the session is lost. Notifications are printed as they come.
// The first ERROR of the daemon is returned at the end; lines after it are sent only with keepGoing.
func Run(ctx context.Context, e *env.Env, c *client.Client, in io.Reader, keepGoing bool) error {
	sub := c.Subscribe()
	defer sub.Close()
	sc := bufio.NewScanner(in)
	var first error
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), "\r")
		var block []string
		if client.IsBlock(line) {
			var ended bool
			var err error
			if block, ended, err = readBlock(sc); err != nil {
				return err
			}
			if !ended {
				return env.Usagef("%s: the block has no END; nothing was sent", client.Redact(line))
			}
		}
		r, err := send(ctx, c, line, block)
		flush(e, sub)
		err = finish(e, line, r, err)
		var reply *client.ReplyError
		if err != nil && (!keepGoing || !errors.As(err, &reply)) {
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

func send(ctx context.Context, c *client.Client, line string, block []string) (client.Reply, error) {
	if client.IsBlock(line) {
		return c.Block(ctx, line, block)
	}
	return c.Cmd(ctx, line)
}

// flush prints the notifications that are queued, except as JSON, where "events" has them.
func flush(e *env.Env, sub *client.Subscription) {
	for {
		n, ok := sub.TryNext()
		if !ok {
			return
		}
		if e.Format == "json" {
			continue
		}
		for _, l := range client.NotificationLines(n) {
			e.WriteLines(client.Redact(l))
		}
	}
}

// Silent marks an error whose text is on Out already.
type Silent struct{ error }

// Unwrap returns the error itself.
func (s Silent) Unwrap() error { return s.error }

// finish prints a reply, also one that is an ERROR.
func finish(e *env.Env, line string, r client.Reply, err error) error {
	var reply *client.ReplyError
	refused := errors.As(err, &reply)
	var unwritten error
	if e.Format == "json" && (err == nil || refused) {
		lines := append([]string{}, r.Raw...)
		unwritten = e.WriteJSON(report.Lines{Head: report.Head{Schema: report.LinesSchema}, Command: client.Redact(line), OK: err == nil, Lines: lines})
	} else {
		unwritten = e.WriteLines(r.Raw...)
	}
	switch {
	case refused && unwritten == nil && len(r.Raw) > 0:
		return Silent{err}
	case err != nil: // the daemon's refusal decides, even when nobody reads the reply
		return err
	}
	return unwritten
}

// readBlock reads up to a line END, which ended tells, or the end of the input.
func readBlock(sc *bufio.Scanner) (block []string, ended bool, err error) {
	for sc.Scan() {
		l := strings.TrimRight(sc.Text(), "\r")
		if l == "END" {
			return block, true, nil
		}
		block = append(block, l)
	}
	return block, false, sc.Err()
}
