package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// tokenMost is more than the longest token.
const tokenMost = 4096

// firstLine reads the token from standard input.
func firstLine(e *env.Env) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(e.In, tokenMost)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// joinError gives the errors of joining their exit codes.
func joinError(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, pki.ErrRefused):
		return exit{err, env.CodeRefused}
	case errors.Is(err, context.DeadlineExceeded):
		return exit{err, env.CodeTimeout}
	case errors.As(err, &op):
		return exit{err, env.CodeUnreachable}
	default:
		return err
	}
}

// exit is an error with an exit code.
type exit struct {
	error
	code int
}

// ExitCode implements [env.Exiter].
func (e exit) ExitCode() int { return e.code }

// Unwrap is the error.
func (e exit) Unwrap() error { return e.error }

func drainCmd(e *env.Env) *cobra.Command {
	var deadline time.Duration
	cmd := &cobra.Command{
		Use: "drain NODE", Short: "Send the clients of a node to the others",
		Long: "Send the clients of a node to the others: it refuses new ones, and tells those it has, at a pace, to go on to their next remote, where\n" +
			"they log in by their tokens. Those that are left at the deadline are disconnected.",
		Example: "  moongate fleet drain edge1\n  moongate fleet drain edge1 --deadline 10m", Args: cobra.ExactArgs(1), ValidArgsFunction: completeNodes(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			if deadline < time.Second || deadline > 24*time.Hour {
				return env.Usagef("--deadline %v: want 1s to 24h", deadline)
			}
			return atNode(cmd.Context(), e, args[0], func(ctx context.Context, c *client.Client) error {
				r, err := c.Do(ctx, "fleet-drain", fmt.Sprint(int(deadline.Seconds())))
				if err != nil {
					return err
				}
				return e.WriteLines(r)
			})
		},
	}
	cmd.Flags().DurationVar(&deadline, "deadline", 5*time.Minute, "when those that are left are disconnected")
	return cmd
}

func leaveCmd(e *env.Env) *cobra.Command {
	var lost string
	cmd := &cobra.Command{
		Use: "leave [DIR]", Short: "Take this node, or a lost one, out of the fleet",
		Long: "Take this machine's node out of the fleet, for good: the others go on without it, and do not count it for a majority. Its daemon goes on\n" +
			"serving its clients; drain it first. --lost takes out another node that will not come back, even without a majority. A node that\n" +
			"has left needs a new folder from moongate fleet join to come back.",
		Example: "  moongate fleet leave\n  moongate fleet leave --lost edge3", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := node.NewCaller(dirOf(e, args, 0))
			if err != nil {
				return err
			}
			defer c.Close()
			name := c.Self().Name
			if lost == name {
				return env.Usagef("%s is this node: leave takes it out without --lost", lost)
			}
			if lost != "" {
				name = lost
			}
			self := node.Member{Name: c.Self().Name, Address: c.Self().Address}
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*e.Timeout)
			defer cancel()
			if err := c.Leave(ctx, self, name); err != nil {
				return joinError(fmt.Errorf("node %s: %w", self.Name, err))
			}
			return e.WriteLines("node " + name + " has left the fleet")
		},
	}
	cmd.Flags().StringVar(&lost, "lost", "", "take out `NODE`, which will not come back")
	_ = cmd.RegisterFlagCompletionFunc("lost", completeNodes(e))
	return cmd
}

// completeNodes completes the names of nodes.
func completeNodes(e *env.Env) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if c, err := node.NewCaller(target.FleetDir(e.Getenv)); err == nil {
			defer c.Close()
			members, _ := c.Members()
			for _, m := range members {
				names = append(names, m.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
