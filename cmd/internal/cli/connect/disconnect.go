package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// NewDisconnect returns the command.
func NewDisconnect(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect NAME", Short: "End a connection that connect made",
		Long: "End the VPN client NAME and wait until it has ended. NAME is that of moongate connect, or any other name or address that -a takes.\n" +
			"A server is not ended.",
		Example: "  moongate disconnect office",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Addrs = args
			err := e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error { return disconnect(ctx, c, args[0]) })
			if t, _ := e.Target(); err == nil && t.Source == target.New(e.Getenv).RunDir {
				sweep(cmd.Context(), t.Address)
			}
			return err
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return target.New(e.Getenv).Names(), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func disconnect(ctx context.Context, c *client.Client, name string) error {
	if st, err := c.Status(ctx); err == nil && st.Server {
		return env.Usagef("%s is a server; moongate -a %[1]s signal SIGTERM ends it, with all its clients", name)
	}
	if _, err := c.Do(ctx, "signal", "SIGTERM"); err != nil {
		return err
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(endLimit):
		return fmt.Errorf("%w after %v: %s got SIGTERM and is still there", env.ErrTimeout, endLimit, name)
	}
}

// sweep removes the socket of a daemon that ended and could not: one that gave its privileges away. The daemon's port may be gone a moment
// before the daemon.
func sweep(ctx context.Context, sock string) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	unlock, err := lock(ctx, filepath.Dir(sock))
	if err != nil {
		return
	}
	defer unlock()
	if st, err := os.Lstat(sock); err != nil || st.Mode()&os.ModeSocket == 0 {
		return
	}
	for range 100 {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", sock)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			os.Remove(sock)
			return
		case err != nil:
			return
		}
		conn.Close()
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
