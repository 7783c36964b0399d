package config

import (
	"net/netip"
	"strings"
	"time"
)

// macros expands server-ipv6, server, server-bridge and client, then keepalive, then tcp-nodelay, in this order,
// which is also that of the entries they push.
func (p *parser) macros() error {
	if err := p.deviceType(); err != nil {
		return err
	}
	p.defaultTopology()
	for _, m := range []func(*parser) error{(*parser).expandServerIPv6, (*parser).expandServer, (*parser).expandBridge} {
		if err := m(p); err != nil {
			return err
		}
	}
	o := p.o
	if o.state.client {
		o.Pull, o.TLSClient = true, true
	}
	if err := p.expandKeepalive(); err != nil {
		return err
	}
	if o.state.tcpNodelay {
		o.TCPNoDelay = true
		if o.ModeServer {
			o.Push = append(o.Push, "socket-flags TCP_NODELAY")
		}
	}
	return nil
}

// deviceType derives the kind of the device from its name.
func (p *parser) deviceType() error {
	o := p.o
	if o.Dev == "" && o.Tool.Name == "" {
		o.Dev = o.Compat.Device()
	}
	if o.Dev == "" {
		return nil // said later
	}
	if o.DevType == "" {
		for _, t := range []DevType{DevTun, DevTap, DevNull} {
			if strings.HasPrefix(o.Dev, string(t)) {
				o.DevType = t
			}
		}
	}
	return nil
}

// defaultTopology decides how addresses are laid out when the configuration does not.
func (p *parser) defaultTopology() {
	o := p.o
	switch {
	case o.Topology != "":
	case o.DevType != DevTap && (o.ModeServer || o.state.server != nil || o.state.serverIPv6.IsValid()):
		o.Topology = o.Compat.ServerTopology()
	default:
		o.Topology = TopologyNet30
	}
}

func (p *parser) expandServerIPv6() error {
	o := p.o
	if !o.state.serverIPv6.IsValid() {
		return nil
	}
	switch {
	case o.state.client:
		return errorf("--server-ipv6 and --client cannot be used together")
	case o.state.server != nil && o.state.server.nopool:
		return errorf("--server-ipv6 is incompatible with 'nopool' option")
	case o.IfconfigIPv6Pool.Set():
		return errorf("--server-ipv6 already defines an ifconfig-ipv6-pool, so you can't also specify --ifconfig-pool explicitly")
	}
	base, bits := o.state.serverIPv6.Addr(), o.state.serverIPv6.Bits()
	o.ModeServer, o.TLSServer = true, true
	o.IfconfigIPv6 = IfconfigIPv6{Local: netip.PrefixFrom(add6(base, 1), bits), Remote: add6(base, 2)}
	offset := uint64(0x1000)
	if bits >= 112 {
		offset = 2
	}
	o.IfconfigIPv6Pool = IfconfigIPv6{Local: netip.PrefixFrom(add6(base, offset), bits)}
	o.Push = append(o.Push, "tun-ipv6")
	return nil
}

// add6 adds n to the low half of an address.
func add6(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	for i := 15; i >= 0 && n > 0; i-- {
		n += uint64(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	return netip.AddrFrom16(b)
}

// expandServer applies "server NETWORK NETMASK [nopool]": addresses of our end, the pool, and what clients are pushed.
func (p *parser) expandServer() error {
	o, s := p.o, p.o.state.server
	if s == nil {
		return nil
	}
	if err := p.checkServerMacro(s); err != nil {
		return err
	}
	o.ModeServer, o.TLSServer = true, true
	var pool IfconfigPool
	switch {
	case o.DevType == DevTap || o.Topology == TopologySubnet:
		pool = p.serveSubnet(s)
	default:
		pool = p.servePairs(s)
	}
	if o.DevType != DevTap {
		o.Push = append(o.Push, "topology "+string(o.Topology))
	}
	if s.nopool {
		return nil
	}
	o.IfconfigPool = pool
	return checkPool("--server directive pool", pool)
}

// checkServerMacro refuses what does not go with server, in stock's order.
func (p *parser) checkServerMacro(s *serverMacro) error {
	o := p.o
	bits, ok := maskBits(s.netmask)
	if !ok || toUint(s.network)&^toUint(s.netmask) != 0 {
		return errorf("--server directive network/netmask combination is invalid")
	}
	switch {
	case o.state.client:
		return errorf("--server and --client cannot be used together")
	case o.state.bridge != nil:
		return errorf("--server and --server-bridge cannot be used together")
	case o.Secret.Set():
		return errorf("--server and --secret cannot be used together (you must use SSL/TLS keys)")
	case o.IfconfigPool.Set() && !s.nopool:
		return errorf("--server already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly")
	case o.DevType != DevTun && o.DevType != DevTap && (o.DevType != DevNull || !o.Compat.ServesWithoutDevice()):
		return errorf("--server directive only makes sense with --dev tun or --dev tap")
	case bits < 16:
		return errorf("--server directive netmask allows for too many host addresses (subnet must be 255.255.0.0 (/16) or higher)")
	case o.DevType != DevTap && bits > 29:
		return errorf("--server directive when used with --dev tun must define a subnet of 255.255.255.248 (/29) or lower")
	case o.DevType == DevTap && bits > 30:
		return errorf("--server directive when used with --dev tap must define a subnet of 255.255.255.252 (/30) or lower")
	}
	return nil
}

// serveSubnet makes the network one subnet of all, and returns its pool: the second address to the last.
func (p *parser) serveSubnet(s *serverMacro) IfconfigPool {
	o := p.o
	network := toUint(s.network)
	own, second := fromUint(network+1), fromUint(network+2)
	o.Ifconfig = Ifconfig{Local: own, Remote: s.netmask}
	if o.DevType != DevTap && o.RouteGateway == "" && !o.RouteGatewayDHCP {
		o.RouteGateway = second.String()
	}
	o.Push = append(o.Push, "route-gateway "+own.String())
	o.constrain(s)
	return IfconfigPool{Start: second, End: fromUint((network | ^toUint(s.netmask)) - 1), Netmask: s.netmask}
}

// servePairs makes point-to-point links to the clients of the network (topology net30 and p2p), and returns its pool.
func (p *parser) servePairs(s *serverMacro) IfconfigPool {
	o := p.o
	network, mask := toUint(s.network), toUint(s.netmask)
	own := fromUint(network + 1)
	o.Ifconfig = Ifconfig{Local: own, Remote: fromUint(network + 2)}
	o.Routes = append(o.Routes, Route{Network: s.network.String(), Netmask: s.netmask.String(), Metric: -1})
	if o.ClientToClient {
		o.Push = append(o.Push, "route "+s.network.String()+" "+s.netmask.String())
	} else if o.Topology == TopologyNet30 {
		o.Push = append(o.Push, "route "+own.String())
	}
	if o.Topology == TopologyNet30 && !s.nopool {
		p.warn("WARNING: --topology net30 support for server configs with IPv4 pools will be removed in a future release. Please " +
			"migrate to --topology subnet as soon as possible.")
	}
	end := network | ^mask // of a /29, the broadcast address
	if bits, _ := maskBits(s.netmask); bits != 29 {
		end -= 4
	}
	return IfconfigPool{Start: fromUint(network + 4), End: fromUint(end)}
}

// constrain sets the default of ifconfig-push-constraint.
func (o *Options) constrain(s *serverMacro) {
	if !o.PushConstraint.Set() {
		o.PushConstraint = IfconfigConstraint{s.network, s.netmask}
	}
}

func (p *parser) expandBridge() error {
	o, b := p.o, p.o.state.bridge
	if b == nil {
		return nil
	}
	switch {
	case o.state.client:
		return errorf("--server-bridge and --client cannot be used together")
	case o.IfconfigPool.Set():
		return errorf("--server-bridge already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly")
	case o.Secret.Set():
		return errorf("--server-bridge and --secret cannot be used together (you must use SSL/TLS keys)")
	case o.DevType != DevTap:
		return errorf("--server-bridge directive only makes sense with --dev tap")
	}
	o.ModeServer, o.TLSServer = true, true
	p.warn("NOTE: when bridging your LAN adapter with the TAP adapter, note that the new bridge adapter will often take on its own IP address " +
		"that is different from what the LAN adapter was previously set to")
	switch {
	case b.gateway.IsValid():
		if _, ok := maskBits(b.netmask); !ok {
			return errorf("--server-bridge netmask %s is invalid", b.netmask)
		}
		for _, pair := range [][2]netip.Addr{{b.gateway, b.start}, {b.gateway, b.end}} {
			if (toUint(pair[0])^toUint(pair[1]))&toUint(b.netmask) != 0 {
				return errorf("--server-bridge IP addresses %s and %s are not in the same %s subnet", pair[0], pair[1], b.netmask)
			}
		}
		o.IfconfigPool = IfconfigPool{Start: b.start, End: b.end, Netmask: b.netmask}
		o.Push = append(o.Push, "route-gateway "+b.gateway.String())
		return checkPool("--server-bridge", o.IfconfigPool)
	case !b.nogw:
		o.Push = append(o.Push, "route-gateway dhcp")
	}
	return nil
}

func (p *parser) expandKeepalive() error {
	o, k := p.o, p.o.state.keepalive
	if k == nil || *k == (keepalive{}) {
		return nil // 0 0 is off
	}
	switch {
	case k.ping <= 0 || k.timeout <= 0:
		return errorf("--keepalive parameters must be > 0")
	case k.ping*2 > k.timeout:
		return errorf("the second parameter to --keepalive (restart timeout=%d) must be at least twice the value of the first parameter "+
			"(ping interval=%d).  A ratio of 1:5 or 1:6 would be even better.  Recommended setting is --keepalive 10 60.", k.timeout, k.ping)
	case o.Ping != 0 || o.PingRestart != 0 || o.PingExit != 0:
		return errorf("--keepalive conflicts with --ping, --ping-exit, or --ping-restart.  If you use --keepalive, you don't need any of " +
			"the other --ping directives.")
	}
	ping, timeout := time.Duration(k.ping)*time.Second, time.Duration(k.timeout)*time.Second
	o.Ping, o.PingRestart, o.state.pingRestartSet = ping, timeout, true
	if o.ModeServer {
		o.PingRestart = 2 * timeout
		o.Push = append(o.Push, sprintf("ping %d", []any{k.ping}), sprintf("ping-restart %d", []any{k.timeout}))
	}
	return nil
}
