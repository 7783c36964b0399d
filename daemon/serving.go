package daemon

import (
	"context"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/client"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
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
		if !p.opts.AskPass.Set() && !p.opts.AskPassAsk {
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

// askKeyPassphrase gets the passphrase where askpass says, from the management port, or from the terminal.
func (p *process) askKeyPassphrase(ctx context.Context) error {
	var pass string
	var err error
	switch {
	case p.opts.AskPass.Set() && p.opts.AskPass.Path != "stdin":
		var b []byte
		if b, err = p.opts.AskPass.LoadSecret(ctx); err == nil {
			pass, _, _ = strings.Cut(strings.ReplaceAll(string(b), "\r", ""), "\n")
		}
		if err == nil && pass == "" {
			err = client.NoPassphrase(p.opts.AskPass)
		}
	case p.opts.ManagementQueryPasswords && p.port.Reachable():
		pass, err = p.port.AskPassword(ctx, mgmt.SecretPrivateKey)
	default:
		pass, err = p.ask(ctx, "Enter Private Key Password:", false)
	}
	if err != nil {
		return err
	}
	p.secrets.SetPassphrase(pass)
	return nil
}
