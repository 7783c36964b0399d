package reach

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Kernel keeps a route of the system into the tunnel's device for each prefix of a client. It is safe for concurrent use.
type Kernel struct {
	h     *netlink.Handle
	index int
	keep  *keeper
}

// OpenKernel begins with a device, in the network namespace of the calling thread, and removes routes of ours that are there.
func OpenKernel(dev string, log logging.Func) (*Kernel, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	l, err := h.LinkByName(dev)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("find device %s: %w", dev, err)
	}
	k := &Kernel{h: h, index: l.Attrs().Index}
	if err := k.sweep(); err != nil {
		h.Close()
		return nil, err
	}
	k.keep = newKeeper(log, k.set)
	return k, nil
}

// Here adds the route of a prefix, Gone removes it. They return at once.
func (k *Kernel) Here(p netip.Prefix) { k.keep.want(p, true) }

// Gone removes the route of a prefix.
func (k *Kernel) Gone(p netip.Prefix) { k.keep.want(p, false) }

// Close removes all routes.
func (k *Kernel) Close() {
	k.keep.close()
	k.h.Close()
}

// sweep removes the routes that a killed process left at a device that outlived it.
func (k *Kernel) sweep() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		left, err := k.h.RouteListFiltered(family, &netlink.Route{LinkIndex: k.index, Protocol: Protocol}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range left {
			if err := k.h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %s: %w", r.Dst, err)
			}
		}
	}
	return nil
}

func (k *Kernel) set(p netip.Prefix, on bool) error {
	r := &netlink.Route{
		Dst:       &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		LinkIndex: k.index, Protocol: Protocol, Priority: Protocol,
	}
	if p.Addr().Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	if on {
		return k.h.RouteReplace(r)
	}
	if err := k.h.RouteDel(r); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
