package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
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
	c.doubts()
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
	if c.tls == nil && !c.opts.Secret.Set() {
		if c.tls, err = c.loadTLS(ctx, prof); err != nil {
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
			return nil, c.interrupted(ctx)
		}
		var final *noRetryError
		if errors.As(err, &final) {
			return nil, fatal(err)
		}
		c.log(logging.Error, "Could not determine IPv4/IPv6 protocol")
		return nil, c.soft(engine.Soft, mgmt.ReasonResolve)
	}
	c.log(logging.Info, "TCP/UDP: Preserving recently used remote address: %s", transport.AddrText(remote))
	link, stop := c.dial(ctx, prof, remote)
	if link == nil {
		return nil, stop
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

// delayed says, once, that rights are given up when the tunnel is open.
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

// soft is a restart for a reason of ours.
func (c *Client) soft(src engine.Source, reason string) engine.Stop {
	return engine.Stop{Signal: c.sig.Effective(engine.USR1), Source: src, Reason: reason}
}

// failedStep is the stop for a step that a signal interrupted, or that failed for good.
func (c *Client) failedStep(ctx context.Context, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.interrupted(ctx)
	}
	return fatal(err)
}

// errNoProfile is a list of profiles that was skipped twice.
var errNoProfile = errors.New("No usable connection profiles are present") //nolint:staticcheck // stock's line

// askProfile lets the management port choose the remote or the proxy.
func (c *Client) askProfile(ctx context.Context) (*config.Connection, error) {
	if !c.port.Reachable() || !c.opts.ManagementQueryRemote {
		prof := *c.profile()
		if c.port.Reachable() && c.opts.ManagementQueryProxy {
			return &prof, c.askProxy(ctx, &prof)
		}
		return &prof, nil
	}
	for range 2 * c.remotes.count {
		prof := *c.profile()
		answer, err := c.port.AskRemote(ctx, server.Remote{Host: prof.Remote, Port: prof.RemotePort, Proto: string(prof.Proto)})
		if err != nil {
			return nil, err
		}
		switch answer.Action {
		case server.RemoteSkip:
			c.remotes.skip(answer.Skip)
			continue
		case server.RemoteMod:
			prof.Remote, prof.RemotePort = answer.Host, answer.Port
			c.remotes.forget()
		}
		return &prof, nil
	}
	return nil, errNoProfile
}

func family(proto config.Proto) transport.Family {
	switch proto.Family() {
	case 4:
		return transport.FamilyIPv4
	case 6:
		return transport.FamilyIPv6
	default:
		return transport.FamilyAny
	}
}

// resolve finds the address of the attempt: the next one of a name looked up before, or the result of a new lookup. What
// fails twice is up to the next attempt, so that connect-retry, connect-retry-max and the states count it.
func (c *Client) resolve(ctx context.Context, prof *config.Connection) (netip.AddrPort, error) {
	host, service := dialTarget(prof)
	if c.opts.RemoteRandomHostname {
		host = randomName(host)
	}
	for last := false; ; last = true {
		addr, err := c.lookUp(ctx, prof, host, service)
		if err == nil || ctx.Err() != nil {
			return addr, cmp.Or(ctx.Err(), err)
		}
		line := fmt.Sprintf("RESOLVE: Cannot resolve host address: %s:%s (%s)", host, service, transport.ResolveReason(err))
		if c.opts.ResolvRetry == 0 {
			return netip.AddrPort{}, &noRetryError{line + " (I would have retried this name query if you had specified the --resolv-retry option.)"}
		}
		c.log(logging.Info, "%s", line)
		if last {
			return netip.AddrPort{}, err
		}
	}
}

// noRetryError is a failed lookup under resolv-retry 0, which ends the process.
type noRetryError struct{ line string }

// Error is the line stock ends with.
func (e *noRetryError) Error() string { return e.line }

var errService = errors.New("Servname not supported for ai_socktype") //nolint:staticcheck // the C library's text

// lookUp is one try to find an address.
func (c *Client) lookUp(ctx context.Context, prof *config.Connection, host, service string) (netip.AddrPort, error) {
	port, err := portNumber(ctx, prof.Proto, service)
	if err != nil {
		c.state(mgmt.State{Name: mgmt.StateResolve})
		return netip.AddrPort{}, errService
	}
	if addr, ok := c.remotes.address(); ok {
		return netip.AddrPortFrom(addr, port), nil
	}
	addrs := c.known(ctx, host, family(prof.Proto))
	if len(addrs) == 0 {
		if _, err := netip.ParseAddr(host); err != nil {
			c.state(mgmt.State{Name: mgmt.StateResolve})
		}
		if addrs, err = transport.Resolve(ctx, host, family(prof.Proto)); err != nil {
			return netip.AddrPort{}, err
		}
	}
	if len(addrs) == 0 {
		return netip.AddrPort{}, &net.DNSError{Name: host, IsNotFound: true}
	}
	c.remotes.resolved(addrs)
	return netip.AddrPortFrom(addrs[0], port), nil
}

func portNumber(ctx context.Context, proto config.Proto, service string) (uint16, error) {
	if n, err := strconv.ParseUint(service, 10, 16); err == nil {
		return uint16(n), nil
	}
	network := "udp"
	if proto.IsTCP() {
		network = "tcp"
	}
	n, err := net.DefaultResolver.LookupPort(ctx, network, service)
	return uint16(n), err
}

// dial opens the link.
func (c *Client) dial(ctx context.Context, prof *config.Connection, remote netip.AddrPort) (transport.Link, engine.Stop) {
	cfg, err := c.dialConfig(ctx, prof, remote)
	if err != nil {
		return nil, c.failedStep(ctx, err)
	}
	if !prof.Proto.IsTCP() {
		link, err := transport.DialUDP(ctx, cfg)
		if err != nil {
			return nil, c.dialFailed(ctx, prof, remote, err)
		}
		if cfg.SOCKS != nil {
			remote = link.RemoteAddr() // the server: the proxy wraps what is for it
		}
		c.logLink(prof, link, remote)
		return link, engine.Stop{}
	}
	link, err := transport.DialTCP(ctx, cfg)
	if err != nil {
		return nil, c.dialFailed(ctx, prof, remote, err)
	}
	c.logLink(prof, link, remote)
	return link, engine.Stop{}
}

// logLink tells both ends of the link.
func (c *Client) logLink(prof *config.Connection, link transport.Link, remote netip.AddrPort) {
	local := " local: (not bound)"
	if prof.Bind {
		addr := link.LocalAddr()
		if prof.Local == "" && addr.Addr().Is4() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		} else if prof.Local == "" {
			addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
		}
		local = " local (bound): " + transport.AddrText(addr)
	}
	c.log(logging.Info, "%s link%s", link.Proto(), local)
	c.log(logging.Info, "%s link remote: %s", link.Proto(), transport.AddrText(remote))
}

// dialFailed says why there is no link, and restarts: at the next address or profile.
func (c *Client) dialFailed(ctx context.Context, prof *config.Connection, remote netip.AddrPort, err error) engine.Stop {
	if ctx.Err() != nil {
		return c.interrupted(ctx)
	}
	var sock *transport.SocketError
	var connect *transport.ConnectError
	var ask *askError
	var proxy *transport.ProxyError
	switch {
	case errors.As(err, &sock) && sock.Op == "bind":
		return fatal(err)
	case errors.As(err, &sock) && sock.Op == "connect":
		c.log(logging.Error, "TCP: connect to %s failed: %s", transport.AddrText(remote), transport.ErrnoText(sock.Errno))
	case errors.As(err, &connect):
		c.log(logging.Error, "%v", err)
	case errors.As(err, &ask):
		return fatal(err)
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
