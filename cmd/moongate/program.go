package main

import (
	"context"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/script"
)

// program is what this build consists of.
func program() cli.Program {
	return cli.Program{
		Version: daemon.Version,
		Daemon: func(ctx context.Context, args []string, args0 []string) int {
			return daemon.Main(ctx, args, daemon.Env{Args0: args0, Scripts: luahost.Host{}})
		},
		CheckConfig: func(args []string) ([]string, error) { return daemon.Check(args, script.Check) },
	}
}
