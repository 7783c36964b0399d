package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// listenAddr returns package net's name for a server socket: "udp4", "udp6", or "udp" for a dual stack one.
func listenAddr(transport string, cfg *ListenConfig) (string, netip.AddrPort) {
	a := cfg.Local.Addr().Unmap()
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
		if cfg.Family == FamilyIPv6 {
			a = netip.IPv6Unspecified()
		}
	}
	local := netip.AddrPortFrom(a, cfg.Local.Port())
	switch {
	case a.Is4():
		return transport + "4", local
	case a.IsUnspecified() && !cfg.V6Only:
		return transport, local // package net clears IPV6_V6ONLY for the wildcard address
	}
	return transport + "6", local
}

// anyAddr is the wildcard address of a network like "udp4".
func anyAddr(network string) netip.Addr {
	if strings.HasSuffix(network, "6") {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// isBind reports that a dial failed at its local address.
func isBind(err error) bool {
	var call *os.SyscallError
	return errors.As(err, &call) && call.Syscall == "bind"
}

// addrPort converts the address of a socket; IPv4-mapped ones become IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.TCPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

func (s *Socket) logf(lv logging.Level, format string, args ...any) {
	s.Log.OrDiscard()(lv, format, args...)
}
