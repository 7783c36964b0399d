package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Resolve looks one host name up and returns its addresses of the family in the resolver's order.
// A literal address is returned as it is; one of IPv4 may have any of the forms that the C library takes. The error of an unknown name, or of one without addresses of the family, is a
// *net.DNSError; ResolveReason turns it into the log's words.
func Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, error) {
	network := [...]string{FamilyAny: "ip", FamilyIPv4: "ip4", FamilyIPv6: "ip6"}[family]
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		if family == FamilyIPv4 && !a.Is4() || family == FamilyIPv6 && !a.Is6() {
			return nil, &net.DNSError{Err: "address family for hostname not supported", Name: host, IsNotFound: true}
		}
		return []netip.Addr{a}, nil
	}
	if a, ok := shortIPv4(host); ok && family != FamilyIPv6 {
		return []netip.Addr{a}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// shortIPv4 reads the forms of an IPv4 address that netip does not know: one to four numbers, decimal, octal after a 0 or hexadecimal
// after 0x, of which the last fills the bytes that are left. 127.1 is 127.0.0.1, and 010.0.0.1 is 8.0.0.1.
// POSIX has the rule with inet_addr.
func shortIPv4(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	last := len(parts) - 1
	if last > 3 {
		return netip.Addr{}, false
	}
	var all uint64
	for i, part := range parts {
		base, size := 10, 8
		switch {
		case strings.HasPrefix(part, "0x"), strings.HasPrefix(part, "0X"):
			base, part = 16, part[2:]
		case len(part) > 1 && part[0] == '0':
			base, part = 8, part[1:]
		}
		if i == last {
			size = 8 * (4 - last)
		}
		n, err := strconv.ParseUint(part, base, size)
		if err != nil {
			return netip.Addr{}, false
		}
		all = all<<size | n
	}
	return netip.AddrFrom4([4]byte{byte(all >> 24), byte(all >> 16), byte(all >> 8), byte(all)}), true
}

// ResolveReason is the C library's text for a failed lookup.
func ResolveReason(err error) string {
	var d *net.DNSError
	switch {
	case !errors.As(err, &d):
		return err.Error()
	case d.Err == "address family for hostname not supported":
		return "Address family for hostname not supported"
	case d.IsNotFound:
		return "Name or service not known"
	}
	return "Temporary failure in name resolution"
}
