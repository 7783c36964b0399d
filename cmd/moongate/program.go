package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	cliscript "github.com/moongate-vpn/moongate/cmd/internal/cli/script"
	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
)

// program puts this build together.
func program() cli.Program {
	return cli.Program{
		Version: daemon.Version,
		Daemon: func(ctx context.Context, args []string, args0 []string) int {
			return daemon.Main(ctx, args, daemon.Env{Args0: args0, Scripts: luahost.Host{}})
		},
		CheckConfig: func(args []string) (all []report.Finding) {
			found, scripts := daemon.Check(args)
			for _, f := range found {
				severity := report.SeverityError
				if f.Warning {
					severity = report.SeverityWarning
				}
				all = append(all, report.Finding{File: f.File, Line: f.Line, Column: f.Column, Severity: severity, Rule: f.Rule, Message: f.Text, Option: f.Option})
			}
			for _, path := range scripts {
				all = append(all, cliscript.CheckLua(here(path))...)
			}
			return all
		},
	}
}

// here is a path as seen from the current folder, when it is below.
func here(path string) string {
	folder, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(folder, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
