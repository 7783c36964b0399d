package daemon

import (
	"context"
	"errors"
	"net"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
	"github.com/moongate-vpn/moongate/script"
)

// scripts are the Lua files the options name.
func (p *process) scripts() []string { return p.opts.LuaScripts }

// startScripts runs each Lua file over a management connection of its own, inside the process. A script that fails is
// logged with file and line, and the daemon goes on without it.
func (p *process) startScripts(ctx context.Context) {
	for _, path := range p.scripts() {
		ours, theirs := net.Pipe()
		p.wg.Go(func() {
			_ = p.port.ServeConn(ctx, ours, server.Access{Role: mgmt.RoleAdmin, Name: path}) // ends with the script
		})
		p.wg.Go(func() {
			err := script.Run(ctx, theirs, path, script.Options{
				Log:   p.lg.With(path).Slog(),
				Print: func(text string) { p.Log(1, "", "%s: %s", path, text) },
			})
			if err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
				p.Log(1, "N", "script %s ended: %v", path, err)
			}
		})
	}
}
