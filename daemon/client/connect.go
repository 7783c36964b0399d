package client

import (
	"context"
	"errors"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
)

// connect makes one attempt: it chooses a profile, asks what has to be asked, opens the socket and runs the attempt.
func (c *Client) connect(ctx context.Context) engine.Stop {
	c.pauses.attempts++
	ictx, cancel := c.sig.Context(ctx)
	a, stop := c.prepare(ictx)
	cancel()
	c.live.Store(a)
	c.underway.Store(false)
	if a == nil {
		return stop
	}
	defer c.live.Store(nil)
	stop = a.run(ctx)
	a.recordGone(stop)
	return stop
}

// prepare does everything up to the first packet. It returns no attempt and the reason when that does not work out.
func (c *Client) prepare(ctx context.Context) (*attempt, engine.Stop) {
	for _, n := range c.opts.Warnings {
		c.log(n.Level, "%s", n.Text)
	}
	if c.opts.AuthUserPass.Enabled && c.secrets.Retry() == mgmt.AuthRetryInteract {
		if err := c.AskCredentials(ctx); err != nil {
			return nil, c.failedStep(ctx, err)
		}
	}
	c.remotes.next()
	prof, err := c.askProfile(ctx)
	if err != nil {
		return nil, c.failedStep(ctx, err)
	}
	if err := c.proxyLogin(ctx, prof); err != nil {
		return nil, c.failedStep(ctx, err)
	}
	if c.identity.conf == nil && !c.opts.Secret.Set() {
		if err := c.identity.load(ctx); err != nil {
			return nil, c.tlsFailed(ctx, err)
		}
	}
	if _, err := loadWrapping(c.opts, prof); err != nil && !c.opts.Secret.Set() {
		return nil, fatal(err) // before anything is opened
	}
	if err := c.openFirst(ctx, prof); err != nil {
		return nil, c.failedStep(ctx, err)
	}
	c.underway.Store(true)
	if prof.Remote == "" {
		link, err := c.listen(ctx, prof)
		if err != nil {
			return nil, c.failedStep(ctx, err)
		}
		return c.begin(prof, link, link.RemoteAddr())
	}
	remote, err := c.resolve(ctx, prof)
	if err != nil {
		if ctx.Err() != nil {
			return nil, c.sig.Interrupted()
		}
		var over *finalError
		if errors.As(err, &over) {
			return nil, fatal(err)
		}
		c.log(logging.Error, "Could not determine IPv4/IPv6 protocol")
		return nil, c.soft(engine.Soft, mgmt.ReasonResolve)
	}
	c.log(logging.Info, "TCP/UDP: Preserving recently used remote address: %s", transport.AddrText(remote))
	link, err := c.dial(ctx, prof, remote)
	if err != nil {
		return nil, c.dialFailed(ctx, prof, remote, err)
	}
	return c.begin(prof, link, remote)
}

// begin starts the session on an open link.
func (c *Client) begin(prof *config.Connection, link transport.Link, remote netip.AddrPort) (*attempt, engine.Stop) {
	a, err := c.newAttempt(prof, link, remote)
	if err != nil {
		link.Close()
		return nil, fatal(err)
	}
	c.delayed()
	if a.session != nil {
		c.state(mgmt.State{Name: mgmt.StateWait})
	}
	return a, engine.Stop{}
}

// delayed says, once, that the daemon gives up its privileges when the tunnel is open.
func (c *Client) delayed() {
	if c.saidDelayed || c.early {
		return
	}
	c.saidDelayed = true
	for _, part := range []struct {
		asked bool
		name  string
	}{{c.opts.Chroot != "", "chroot"}, {c.opts.User != "" || c.opts.Group != "", "UID/GID downgrade"}} {
		if part.asked {
			c.log(logging.Info, "NOTE: %s will be delayed because of --client, --pull, or --up-delay", part.name)
		}
	}
}

// finalError is an error that the next attempt would meet too: it ends the process.
type finalError struct{ error }

// Unwrap gives the reason.
func (e *finalError) Unwrap() error { return e.error }

func final(err error) error {
	if err == nil {
		return nil
	}
	return &finalError{err}
}

// soft is a restart for a reason of ours.
func (c *Client) soft(src engine.Source, reason string) engine.Stop {
	return engine.Stop{Signal: c.sig.Effective(engine.USR1), Source: src, Reason: reason}
}

// failedStep is the stop for a step that a signal interrupted, or that failed for good.
func (c *Client) failedStep(ctx context.Context, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.sig.Interrupted()
	}
	return fatal(err)
}

// dialFailed says why there is no link, and restarts: at the next address or profile.
func (c *Client) dialFailed(ctx context.Context, prof *config.Connection, remote netip.AddrPort, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.sig.Interrupted()
	}
	var sock *transport.SocketError
	var connect *transport.ConnectError
	var over *finalError
	var proxy *transport.ProxyError
	switch {
	case errors.As(err, &over), errors.As(err, &sock) && sock.Op == "bind":
		return fatal(err)
	case errors.As(err, &sock) && sock.Op == "connect":
		c.log(logging.Error, "TCP: connect to %s failed: %s", transport.AddrText(remote), transport.ErrnoText(sock.Errno))
	case errors.As(err, &connect):
		c.log(logging.Error, "%v", err)
	case prof.HTTPProxy != nil:
		c.log(logging.Error, "%v", err)
		if errors.As(err, &proxy) && proxy.Auth {
			c.secrets.on((*credentials.Set).ProxyRefused) // they are asked for again
		}
		return c.soft(engine.Soft, mgmt.ReasonHTTPProxy)
	case prof.SOCKSProxy != nil:
		c.log(logging.Error, "%v", err)
		return c.soft(engine.Soft, mgmt.ReasonSOCKS)
	default:
		c.log(logging.Error, "%v", err)
	}
	return c.soft(engine.ConnectionFailed, mgmt.ReasonConnectionFailed)
}

// tlsFailed is the stop for keys and certificates that could not be loaded. A wrong passphrase is logged and dropped, and
// asked for again unless auth-retry is none.
func (c *Client) tlsFailed(ctx context.Context, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.sig.Interrupted()
	}
	bad := errors.Is(err, tlsconf.ErrPassphrase)
	if !bad && !errors.Is(err, errNoToken) {
		return fatal(err)
	}
	name := c.opts.Key.String()
	if c.opts.PKCS12.Set() {
		name = c.opts.PKCS12.String()
	}
	if bad {
		c.secrets.on((*credentials.Set).KeyRefused)
		c.port.PasswordFailed(mgmt.SecretPrivateKey, "")
		c.log(logging.Alert, "Cannot load private key file %s", name)
	}
	if c.secrets.Retry() == mgmt.AuthRetryNone {
		return fatal(errors.New("Error: private key password verification failed")) //nolint:staticcheck // the line scripts know
	}
	return c.soft(engine.Soft, mgmt.ReasonPrivateKey)
}
