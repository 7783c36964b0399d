package daemon

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/daemon/client"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
)

// newServer makes the engine of mode server, and what asks for the private key's passphrase before it starts.
func (p *process) newServer(runner *hooks.Runner) (engine.Engine, func(context.Context) error) {
	p.reloads.mu.Lock()
	p.reloads.inForce = p.opts
	p.reloads.mu.Unlock()
	d := vpnserver.Deps{
		Options: p.opts, Log: p.lg, Port: serverPort{p.port, &p.ways, &p.lua}, Signals: p.sig, Hooks: runner, Env: p.environment(p.opts), Totals: &p.totals,
		Net: p.net, Notes: p.notes, Title: Title(p.opts.Compat), Up: p.up, Passphrase: p.keyPassphrase, HooksAtOnce: p.scriptsAtOnce, Journal: &p.seen, Fleet: p.fleet.deps(),
		Reach: p.fleet.reach(), Relay: p.fleet.openRelay(),
	}
	return vpnserver.New(d), func(ctx context.Context) error {
		if !p.opts.AsksPassphrase() {
			return nil
		}
		return p.askKeyPassphrase(ctx)
	}
}

// passphraseTimeout bounds the wait for the passphrase, where no signal can end it.
const passphraseTimeout = 5 * time.Minute

// keyPassphrase is the passphrase of a server's private key; it asks when nobody has said it yet.
func (p *process) keyPassphrase() (string, error) {
	if pass, ok := p.secrets.Passphrase(); ok {
		return pass, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), passphraseTimeout)
	defer cancel()
	ctx, stop := p.sig.Context(ctx)
	defer stop()
	if err := p.askKeyPassphrase(ctx); err != nil {
		return "", err
	}
	if !p.opts.AuthNocache {
		p.lg.Msg(logging.Warn, client.CachingWarning)
	}
	pass, _ := p.secrets.Passphrase()
	return pass, nil
}

// askKeyPassphrase gets the passphrase, and keeps it.
func (p *process) askKeyPassphrase(ctx context.Context) error {
	pass, err := client.KeyPassphrase(ctx, p.opts, p.port, p.ask)
	if err != nil {
		return err
	}
	p.secrets.SetPassphrase(pass)
	return nil
}
