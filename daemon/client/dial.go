package client

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
)

// dial opens the link.
func (d *dialer) dial(ctx context.Context, prof *config.Connection, remote netip.AddrPort) (transport.Link, error) {
	cfg, err := d.dialConfig(ctx, prof, remote)
	if err != nil {
		return nil, final(err)
	}
	if prof.Proto.IsTCP() {
		link, err := transport.DialTCP(ctx, cfg)
		if err != nil {
			return nil, err
		}
		d.logLink(prof, link, remote)
		return link, nil
	}
	link, err := transport.DialUDP(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.SOCKS != nil {
		remote = link.RemoteAddr() // the server: the proxy wraps what is for it
	}
	d.logLink(prof, link, remote)
	return link, nil
}

// listen opens the link of a peer that waits to be called: a bound UDP socket, whose other end is learned from the
// first good packet, or the first TCP connection that comes.
func (d *dialer) listen(ctx context.Context, prof *config.Connection) (transport.Link, error) {
	dial, err := d.dialConfig(ctx, prof, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	cfg := transport.ListenConfig{
		Local: dial.Local, Family: family(prof.Proto), Socket: dial.Socket, Stream: dial.Stream,
		Multihome: transport.MultihomeOf(d.opts.Multihome, d.opts.MultihomeSameInterface),
	}
	if prof.Local == "" {
		cfg.Local = netip.AddrPortFrom(netip.Addr{}, dial.Local.Port())
	}
	if prof.Proto.IsUDP() {
		link, err := transport.ListenUDP(cfg)
		if err != nil {
			return nil, err
		}
		d.logLink(prof, link, netip.AddrPort{})
		return link, nil
	}
	ln, err := transport.ListenTCP(cfg)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	d.log(logging.Info, "Listening for incoming TCP connection on %s", transport.AddrText(ln.Addr()))
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	link, err := ln.Accept()
	if err != nil {
		return nil, fmt.Errorf("wait for a connection: %w", err)
	}
	d.log(logging.Info, "TCP connection established with %s", transport.AddrText(link.RemoteAddr()))
	d.logLink(prof, link, link.RemoteAddr())
	return link, nil
}

// logLink tells both ends of the link.
func (d *dialer) logLink(prof *config.Connection, link transport.Link, remote netip.AddrPort) {
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
	d.log(logging.Info, "%s link%s", link.Proto(), local)
	d.log(logging.Info, "%s link remote: %s", link.Proto(), transport.AddrText(remote))
}

// dialConfig translates a profile into what the transport wants.
func (d *dialer) dialConfig(ctx context.Context, prof *config.Connection, remote netip.AddrPort) (transport.DialConfig, error) {
	o := d.opts
	cfg := transport.DialConfig{
		Remote: remote, Float: prof.Float,
		Socket: transport.Socket{
			SndBuf: o.SndBuf, RcvBuf: o.RcvBuf, Mark: uint32(o.Mark), BindDev: o.BindDev, NoDelay: o.TCPNoDelay,
			V6Only: prof.BindIPv6Only, DisableOffload: o.DisableOffload, MTUDisc: transport.MTUDiscOf(prof.MTUDisc),
			Log: d.log,
		},
		Stream: transport.Stream{SendWait: time.Second, MaxFrame: prof.MaxFrame()}, Timeout: prof.ConnectTimeout,
		Connecting: func() {
			d.log(logging.Info, "Attempting to establish TCP connection with %s", transport.AddrText(remote))
			d.state(mgmt.State{Name: mgmt.StateTCPConnect})
		},
		Connected: func() { d.log(logging.Info, "TCP connection established with %s", transport.AddrText(remote)) },
	}
	if prof.Bind {
		port, err := portNumber(ctx, prof.Proto, prof.LocalPort)
		if err != nil {
			return cfg, fmt.Errorf("local port %s: %w", prof.LocalPort, err)
		}
		addr := netip.IPv4Unspecified()
		if remote.Addr().Is6() || prof.Proto.Family() == 6 {
			addr = netip.IPv6Unspecified()
		}
		if prof.Local != "" {
			addrs, err := transport.Resolve(ctx, prof.Local, family(prof.Proto))
			if err != nil {
				return cfg, err
			}
			addr = addrs[0]
		}
		cfg.Local = netip.AddrPortFrom(addr, port)
	}
	if prof.HTTPProxy == nil && prof.SOCKSProxy == nil {
		return cfg, nil
	}
	port, err := portNumber(ctx, prof.Proto, prof.RemotePort)
	if err != nil {
		return cfg, err
	}
	cfg.TargetHost, cfg.TargetPort = prof.Remote, port
	d.proxies(prof, &cfg)
	return cfg, nil
}
