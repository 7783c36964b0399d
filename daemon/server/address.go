package server

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// fullAddress is an outer address with its family as the log has it. On an IPv6 socket IPv4 peers are mapped addresses,
// and those of a multihomed server tell where they came in:
//
//	[AF_INET]10.99.0.2:45921
//	[AF_INET6]::ffff:10.99.0.2:45921
//	[AF_INET]10.99.0.2:57524 (via [AF_INET]10.99.0.1%eth0)
//	[AF_INET6]::ffff:10.99.0.2:42311 (via ::ffff:10.99.0.1%eth0)
func (s *setup) fullAddress(p transport.Peer) string {
	text, v6 := transport.AddrText(p.Addr), s.onV6(p)
	if v6 && p.Addr.Addr().Is4() {
		text = "[AF_INET6]::ffff:" + p.Addr.Addr().String() + ":" + strconv.Itoa(int(p.Addr.Port()))
	}
	if !p.Local.IsValid() {
		return text
	}
	via := p.Local.String()
	switch {
	case v6 && p.Local.Is4():
		via = "::ffff:" + via
	case p.Local.Is4():
		via = "[AF_INET]" + via
	}
	if ifi, err := net.InterfaceByIndex(p.IfIndex); err == nil {
		via += "%" + ifi.Name
	}
	return text + " (via " + via + ")"
}

// onV6 reports whether a peer came to an IPv6 socket.
func (s *setup) onV6(p transport.Peer) bool {
	return int(p.Listener) < len(s.listeners) && s.listeners[p.Listener].v6
}

// outer is a client's outer address as logs and reports name it.
//
//	10.99.0.2:45921, fd99::2                               2.6: IPv6 has no port
//	udp4:10.99.0.2:45921, tcp6-server:[fd99::2]:45921      2.7: with the kind of socket
//	udp6:10.99.0.2:45921                                   2.7: IPv4 on an IPv6 socket
type outer struct {
	proto string // empty for 2.6
	at    netip.AddrPort
}

func (o outer) String() string { return string(o.appendTo(nil)) }

// appendTo appends the address, nothing for an invalid one.
func (o outer) appendTo(b []byte) []byte {
	ip := o.at.Addr()
	if !ip.IsValid() {
		return b
	}
	if o.proto != "" {
		b = append(append(b, o.proto...), ':')
	}
	if ip.Is6() && !ip.Is4In6() && o.proto == "" {
		return ip.AppendTo(b)
	}
	return netip.AddrPortFrom(ip.Unmap(), o.at.Port()).AppendTo(b)
}

// outer names a peer.
func (s *setup) outer(p transport.Peer) outer { return outer{s.protoName(p), p.Addr} }

// protoName stands before the addresses of a listener in 2.7, empty for the face of 2.6.
func (s *setup) protoName(p transport.Peer) string {
	if s.Options == nil || !s.Compat.AddressesNameProto() || int(p.Listener) >= len(s.listeners) {
		return ""
	}
	l := s.listeners[p.Listener]
	switch {
	case l.proto.IsTCP() && l.v6:
		return "tcp6-server"
	case l.proto.IsTCP():
		return "tcp4-server"
	case l.v6:
		return "udp6"
	}
	return "udp4"
}

func (i *dataPath) outer() outer        { return outer{i.proto, i.peer.Load().Addr} }
func (i *dataPath) addressText() string { return i.outer().String() }
func (i *dataPath) source() netip.Addr  { return i.peer.Load().Addr.Addr() }

// announceSocket logs what kind of socket a server listens on.
func (s *Server) announceSocket(l listener) {
	family := ""
	if l.v6 {
		family = "6"
	}
	if l.proto.Family() == 0 {
		s.logLine("", logging.Alert, "Could not determine IPv4/IPv6 protocol. Using AF_INET%s", family)
	}
}

// announceV6 logs whether an IPv6 socket takes IPv4 as well.
func (s *Server) announceV6(set *setup, l listener) {
	if !l.v6 {
		return
	}
	only := 0
	if set.prof.BindIPv6Only {
		only = 1
	}
	s.logLine("", logging.Info, "setsockopt(IPV6_V6ONLY=%d)", only)
}
