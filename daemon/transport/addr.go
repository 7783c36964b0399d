package transport

import (
	"net"
	"net/netip"
	"strconv"
)

// AddrText prints an address as the log does: [AF_INET]1.2.3.4:1194, [AF_INET6]fe80::1%eth0:1194, [AF_INET][undef]:1194 for
// an unspecified IPv4 address, [AF_UNSPEC] for the zero value.
func AddrText(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return "[AF_UNSPEC]"
	}
	ip := a.Addr().Unmap()
	family := "[AF_INET]"
	if ip.Is6() {
		family = "[AF_INET6]"
	}
	host := ip.String()
	if ip.IsUnspecified() {
		host = "[undef]"
	}
	return family + host + ":" + strconv.Itoa(int(a.Port()))
}

// String prints the peer as the log does; a multihomed one as "[AF_INET]1.2.3.4:5 (via [AF_INET]6.7.8.9%eth0)".
func (p Peer) String() string {
	s := AddrText(p.Addr)
	if !p.Local.IsValid() {
		return s
	}
	family := "[AF_INET]"
	if p.Local.Is6() {
		family = "[AF_INET6]"
	}
	s += " (via " + family + p.Local.String()
	if ifi, err := net.InterfaceByIndex(p.IfIndex); err == nil {
		s += "%" + ifi.Name
	}
	return s + ")"
}
