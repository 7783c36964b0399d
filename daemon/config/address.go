package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// ipv4 parses a dotted quad, the only form the options take.
func ipv4(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Is4()
}

func ipv6(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Is6() && a.Zone() == ""
}

// ipv6Bits parses an IPv6 address with optional prefix length, host bits kept.
func ipv6Bits(s string, defaultBits int) (netip.Prefix, bool) {
	addr, bits, slash := strings.Cut(s, "/")
	n := defaultBits
	if slash {
		var err error
		if n, err = strconv.Atoi(bits); err != nil || n < 0 || n > 128 {
			return netip.Prefix{}, false
		}
	}
	a, ok := ipv6(addr)
	if !ok {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, n), true
}

// maskBits returns the prefix length of a netmask, false when it has holes.
func maskBits(m netip.Addr) (int, bool) {
	v := toUint(m)
	n := 0
	for v&(1<<31) != 0 {
		n, v = n+1, v<<1
	}
	return n, v == 0
}

// ipv4Prefix returns the network of a and m, false when the mask has holes or a has host bits.
func ipv4Prefix(a, m netip.Addr) (netip.Prefix, bool) {
	bits, ok := maskBits(m)
	p := netip.PrefixFrom(a, bits)
	return p, ok && p.Masked() == p
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func fromUint(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// isHostName reports whether s could be the name of a host: letters, digits, and the few signs names have.
func isHostName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// addressOrName reports whether s is an IPv4 address, or a host name where names are allowed.
func (p *parser) addressOrName(s string) bool {
	if _, ok := ipv4(s); ok {
		return true
	}
	return p.o.AllowPullFQDN && isHostName(s)
}

// hosts is quads for what may be a name, where the client's configuration looks names up.
func (p *parser) hosts(a ...string) ([]netip.Addr, bool) {
	found := make([]string, len(a))
	for i, s := range a {
		found[i] = s
		if _, ok := ipv4(s); ok || p.cc.Lookup == nil || !isHostName(s) {
			continue
		}
		addr, err := p.cc.Lookup(s)
		if err != nil {
			p.note(logging.Error, "RESOLVE: Cannot resolve host address: %s: (%v)", s, err)
			return nil, false
		}
		found[i] = addr.String()
	}
	return p.quads(found...)
}

// quads parses IPv4 addresses; the log tells which one is wrong.
func (p *parser) quads(a ...string) ([]netip.Addr, bool) {
	addrs, all := make([]netip.Addr, len(a)), true
	for i, s := range a {
		var ok bool
		if addrs[i], ok = ipv4(s); !ok {
			p.note(logging.Error, "RESOLVE: Cannot parse IP address: %s: (Name or service not known)", s)
			all = false
		}
	}
	return addrs, all
}
