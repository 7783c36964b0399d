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
		Log: p.lg.Msg, Done: p.hooked,
	}
	if f := p.lg.File(); f != nil {
		runner.Stdout, runner.Stderr = f, f
	}
	if err := p.plugins.load(p.opts, p.environment(p.opts), &p.privileges, runner); err != nil {
		return nil, nil, err
	}
	if p.opts.ModeServer {
		e, prepare := p.newServer(runner)
		return e, prepare, nil
	}
	cards, err := p.tokens.open(&p.opts.PKCS11, p.lg.Msg)
	if err != nil {
		return nil, nil, err
	}
	d := client.Deps{
		Options: p.opts, Log: p.lg, Port: p.port, Signals: p.sig, Secrets: p.secrets, Hooks: runner,
		Env: p.environment(p.opts), Totals: &p.totals, Net: p.net, Console: p.ask, Version: p.opts.Compat.Release(), Reread: reread, QueryToken: p.opts.ManagementQueryToken,
		Notes: p.notes, Up: p.up, Tunnel: p.ways.follow, Tokens: cards, Journal: &p.seen,
	}
	c := client.New(d)
	return c, func(ctx context.Context) error {
		if err := c.AskPassphrase(ctx); err != nil {
			return err
		}
		return c.AskCredentials(ctx)
	}, nil
}

// ask asks at the terminal for what an engine needs. The management port goes on meanwhile.
func (p *process) ask(ctx context.Context, prompt string, echo bool) (string, error) {
	p.port.Begin()
	return terminal{p.env.Stdin}.ask(ctx, prompt, echo)
}

// up is called by an engine when its first initialisation is complete.
func (p *process) up() error {
	if err := p.plugins.Open(plugin.AfterTunnel); err != nil {
		return err
	}
	if err := p.privileges.drop(p.plugins.Set, p.opts.Jail, p.lg.Msg); err != nil {
		return err
	}
	p.fleet.begin()
	if err := p.plugins.Open(plugin.AfterDrop); err != nil {
		return err
	}
	sdNotify("STATUS=Initialization Sequence Completed")
	return nil
}
