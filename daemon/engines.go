package daemon

import (
	"context"

	"github.com/moongate-vpn/moongate/daemon/client"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// newEngine makes the engine that the options ask for, and what it wants to ask before it starts: passwords, while the
// port still shows the start phase. prepare may be nil.
func (p *process) newEngine(reread bool) (e engine.Engine, prepare func(context.Context) error, err error) {
	runner := &hooks.Runner{
		Security: p.opts.ScriptSecurity, Stdout: p.env.Stdout, Stderr: p.env.Stderr,
		Log: p.lg.Msg,
	}
	if f := p.lg.File(); f != nil {
		runner.Stdout, runner.Stderr = f, f
	}
	if err := p.openPlugins(runner); err != nil {
		return nil, nil, err
	}
	if p.opts.ModeServer {
		e, prepare := p.newServer(runner)
		return e, prepare, nil
	}
	cards, err := p.openTokens()
	if err != nil {
		return nil, nil, err
	}
	c := client.New(client.Deps{
		Options: p.opts, Log: p.lg, Port: p.port, Signals: p.sig, Secrets: p.secrets, Hooks: runner,
		Env: p.environment(), Totals: &p.totals, Net: p.net, Console: p.ask, Version: compatible, Reread: reread, QueryToken: p.opts.ManagementQueryToken,
		Notes: p.notes, Up: p.up, Tunnel: p.tunnelPort, Tokens: cards,
	})
	return c, func(ctx context.Context) error {
		if err := c.AskPassphrase(ctx); err != nil {
			return err
		}
		return c.AskCredentials(ctx)
	}, nil
}

// up is called by an engine when its first initialisation is complete.
func (p *process) up() error {
	if err := p.plugins.Open(plugin.AfterTunnel); err != nil {
		return err
	}
	if err := p.dropPrivileges(); err != nil {
		return err
	}
	if err := p.plugins.Open(plugin.AfterDrop); err != nil {
		return err
	}
	sdNotify("STATUS=Initialization Sequence Completed")
	return nil
}
