package client

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// listen opens the link of a peer that waits to be called: a bound UDP socket, whose other end is learned from the
// first good packet, or the first TCP connection that comes.
func (c *Client) listen(ctx context.Context, prof *config.Connection) (transport.Link, error) {
	dial, err := c.dialConfig(ctx, prof, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	cfg := transport.ListenConfig{
		Local: dial.Local, Family: family(prof.Proto), Socket: dial.Socket, Stream: dial.Stream,
		Multihome: transport.MultihomeOf(c.opts.Multihome, c.opts.MultihomeSameInterface),
	}
	if prof.Local == "" {
		cfg.Local = netip.AddrPortFrom(netip.Addr{}, dial.Local.Port())
	}
	if prof.Proto.IsUDP() {
		link, err := transport.ListenUDP(cfg)
		if err != nil {
			return nil, err
		}
		c.logLink(prof, link, netip.AddrPort{})
		return link, nil
	}
	ln, err := transport.ListenTCP(cfg)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	c.log(logging.Info, "Listening for incoming TCP connection on %s", transport.AddrText(ln.Addr()))
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	link, err := ln.Accept()
	if err != nil {
		return nil, fmt.Errorf("wait for a connection: %w", err)
	}
	c.log(logging.Info, "TCP connection established with %s", transport.AddrText(link.RemoteAddr()))
	c.logLink(prof, link, link.RemoteAddr())
	return link, nil
}
