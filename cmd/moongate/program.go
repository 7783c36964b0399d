package main

import (
	"context"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
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
		CheckConfig: func(args []string) (all []report.Finding) {
			for _, f := range daemon.Check(args, script.Check) {
				severity := report.SeverityError
				if f.Warning {
					severity = report.SeverityWarning
				}
				all = append(all, report.Finding{File: f.File, Line: f.Line, Column: f.Column, Severity: severity, Rule: f.Rule, Message: f.Text})
			}
			return all
		},
	}
}
