package main

import (
	"context"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/config"
)

// program is what this build consists of.
func program() cli.Program {
	return cli.Program{
		Version: daemon.Version,
		Daemon: func(ctx context.Context, args []string, args0 []string) int {
			return daemon.Main(ctx, args, daemon.Env{Args0: args0})
		},
		CheckConfig: func(path string) error {
			_, err := config.Parse([]string{"--config", path}, config.Env{})
			return err
		},
	}
}
