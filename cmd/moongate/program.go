package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/script"
)

// program is what this build consists of.
func program() cli.Program {
	return cli.Program{
		Version: daemon.Version,
		Daemon: func(ctx context.Context, args []string, args0 []string) int {
			return daemon.Main(ctx, args, daemon.Env{Args0: args0, RunScript: runScript, CheckScript: script.Check})
		},
		CheckConfig: daemon.Check,
	}
}

// runScript gives the daemon its Lua.
func runScript(ctx context.Context, conn net.Conn, path string, out daemon.ScriptOutput) error {
	err := script.Run(ctx, conn, path, script.Options{Log: out.Log, Print: out.Print})
	if e := (*script.Error)(nil); errors.As(err, &e) && e.Trace != "" {
		return fmt.Errorf("%w\n%s", err, e.Trace)
	}
	return err
}
