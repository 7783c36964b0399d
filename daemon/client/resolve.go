package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// dialer finds the remote of the next attempt and its address, and opens the link to it.
type dialer struct {
	*questions
	remotes   remotes
	names     map[string][]netip.Addr // looked up in advance (preresolve)
	proxyAuth server.Credentials      // for the HTTP proxy of this attempt, empty when not known yet
}

// profile is the connection profile in use.
func (d *dialer) profile() *config.Connection { return &d.opts.Connections[d.remotes.current] }

// errNoProfile is a list of profiles that was skipped twice.
var errNoProfile = errors.New("No usable connection profiles are present") //nolint:staticcheck // stock's line

// askProfile lets the management port choose the remote or the proxy.
func (d *dialer) askProfile(ctx context.Context) (*config.Connection, error) {
	if !d.port.Reachable() || !d.opts.ManagementQueryRemote {
		prof := *d.profile()
		if d.port.Reachable() && d.opts.ManagementQueryProxy {
			return &prof, d.askProxy(ctx, &prof)
		}
		return &prof, nil
	}
	for range 2 * d.remotes.count {
		prof := *d.profile()
		answer, err := d.port.AskRemote(ctx, server.Remote{Host: prof.Remote, Port: prof.RemotePort, Proto: string(prof.Proto)})
		if err != nil {
			return nil, err
		}
		switch answer.Action {
		case server.RemoteSkip:
			d.remotes.skip(answer.Skip)
			continue
		case server.RemoteMod:
			prof.Remote, prof.RemotePort = answer.Host, answer.Port
			d.remotes.forget()
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
func (d *dialer) resolve(ctx context.Context, prof *config.Connection) (netip.AddrPort, error) {
	host, service := dialTarget(prof)
	if d.opts.RemoteRandomHostname {
		host = randomName(host)
	}
	for last := false; ; last = true {
		addr, err := d.lookUp(ctx, prof, host, service)
		if err == nil || ctx.Err() != nil {
			return addr, cmp.Or(ctx.Err(), err)
		}
		line := fmt.Sprintf("RESOLVE: Cannot resolve host address: %s:%s (%s)", host, service, transport.ResolveReason(err))
		if d.opts.ResolvRetry == 0 {
			return netip.AddrPort{}, final(errors.New(line + " (I would have retried this name query if you had specified the --resolv-retry option.)"))
		}
		d.log(logging.Info, "%s", line)
		if last {
			return netip.AddrPort{}, err
		}
	}
}

var errService = errors.New("Servname not supported for ai_socktype") //nolint:staticcheck // the C library's text

// lookUp is one try to find an address.
func (d *dialer) lookUp(ctx context.Context, prof *config.Connection, host, service string) (netip.AddrPort, error) {
	port, err := portNumber(ctx, prof.Proto, service)
	if err != nil {
		d.state(mgmt.State{Name: mgmt.StateResolve})
		return netip.AddrPort{}, errService
	}
	if addr, ok := d.remotes.address(); ok {
		return netip.AddrPortFrom(addr, port), nil
	}
	addrs := d.known(ctx, host, family(prof.Proto))
	if len(addrs) == 0 {
		if _, err := netip.ParseAddr(host); err != nil {
			d.state(mgmt.State{Name: mgmt.StateResolve})
		}
		if addrs, err = transport.Resolve(ctx, host, family(prof.Proto)); err != nil {
			return netip.AddrPort{}, err
		}
	}
	if len(addrs) == 0 {
		return netip.AddrPort{}, &net.DNSError{Name: host, IsNotFound: true}
	}
	d.remotes.resolved(addrs)
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

// known are the addresses of a host that need no lookup now: those of ip-remote-hint, or what preresolve found when the
// engine started. It is empty when the name has to be looked up.
func (d *dialer) known(ctx context.Context, host string, family transport.Family) []netip.Addr {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if addr, err := netip.ParseAddr(d.opts.IPRemoteHint); err == nil {
		return []netip.Addr{addr}
	}
	if !d.opts.Preresolve {
		return nil
	}
	if d.names == nil {
		d.names = make(map[string][]netip.Addr)
		for i := range d.opts.Connections {
			name, _ := dialTarget(&d.opts.Connections[i])
			if addrs, err := transport.Resolve(ctx, name, transport.FamilyAny); err == nil {
				d.names[name] = addrs
			}
		}
	}
	var fit []netip.Addr
	for _, addr := range d.names[host] {
		if family == transport.FamilyAny || addr.Is4() == (family == transport.FamilyIPv4) {
			fit = append(fit, addr)
		}
	}
	return fit
}

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
