package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/transport"
)

// randomName puts twelve random hexadecimal digits in front of a host name, for zones that answer any name, so that no
// cache on the way knows it (remote-random-hostname). Addresses stay as they are.
func randomName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:]) + "." + host
}

// known are the addresses of a host that need no lookup now: those of ip-remote-hint, or what preresolve found when the
// engine started. It is empty when the name has to be looked up.
func (c *Client) known(ctx context.Context, host string, family transport.Family) []netip.Addr {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if addr, err := netip.ParseAddr(c.opts.IPRemoteHint); err == nil {
		return []netip.Addr{addr}
	}
	if !c.opts.Preresolve {
		return nil
	}
	if c.names == nil {
		c.names = make(map[string][]netip.Addr)
		for i := range c.opts.Connections {
			name, _ := dialTarget(&c.opts.Connections[i])
			if addrs, err := transport.Resolve(ctx, name, transport.FamilyAny); err == nil {
				c.names[name] = addrs
			}
		}
	}
	var fit []netip.Addr
	for _, addr := range c.names[host] {
		if family == transport.FamilyAny || addr.Is4() == (family == transport.FamilyIPv4) {
			fit = append(fit, addr)
		}
	}
	return fit
}
