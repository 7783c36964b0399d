package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Resolve looks one host name up and returns its addresses of the family in the resolver's order.
// A literal address is returned as it is. The error of an unknown name, or of one without addresses of the family, is a
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
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
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
