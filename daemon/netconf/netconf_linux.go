package netconf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// System is the Net of this host, over netlink. It works in the network namespace it was made in.
type System struct {
	h    *netlink.Handle
	logf logging.Func
}

// New opens the system's network configuration. logf may be nil.
func New(logf logging.Func) (*System, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &System{h: h, logf: logf.OrDiscard()}, nil
}

// Close ends the connection to the kernel.
func (s *System) Close() { s.h.Close() }

func (s *System) link(dev string) (netlink.Link, error) {
	l, err := s.h.LinkByName(dev)
	if err != nil {
		return nil, fmt.Errorf("find device %s: %w", dev, err)
	}
	return l, nil
}

// failed logs a refusal of the kernel as stock does, and gives the error a name where callers need one.
func (s *System) failed(err error) error {
	var n syscall.Errno
	if errors.As(err, &n) {
		text := n.Error()
		s.logf(logging.Info, "sitnl_send: rtnl: generic error (-%d): %s%s", int(n), strings.ToUpper(text[:1]), text[1:])
		if n == unix.EEXIST {
			return ErrExists
		}
	}
	return err
}

// SetMTU sets the largest packet of a device.
func (s *System) SetMTU(dev string, mtu int) error {
	s.logf(logging.Info, "net_iface_mtu_set: mtu %d for %s", mtu, dev)
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.LinkSetMTU(l, mtu); err != nil {
		return s.failed(err)
	}
	return nil
}

// SetUp brings a device up.
func (s *System) SetUp(dev string) error {
	s.logf(logging.Info, "net_iface_up: set %s up", dev)
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.LinkSetUp(l); err != nil {
		return s.failed(err)
	}
	return nil
}

// SetMAC sets the hardware address of a TAP device.
func (s *System) SetMAC(dev string, mac net.HardwareAddr) error {
	s.logf(logging.Info, "net_addr_ll_set: lladdr %s for %s", mac, dev)
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.LinkSetHardwareAddr(l, mac); err != nil {
		return s.failed(err)
	}
	s.logf(logging.Info, "TUN/TAP link layer address set to %s", mac)
	return nil
}

// SetTxQueueLen sets the length of a device's queue, in packets.
func (s *System) SetTxQueueLen(dev string, n int) error {
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.LinkSetTxQLen(l, n); err != nil {
		return s.failed(err)
	}
	s.logf(logging.Steps, "TUN/TAP TX queue length set to %d", n)
	return nil
}

// AddAddr gives a device an address.
func (s *System) AddAddr(dev string, a Addr) error {
	switch {
	case a.Peer.IsValid():
		s.logf(logging.Info, "net_addr_ptp_v4_add: %s peer %s dev %s", a.Prefix.Addr(), a.Peer, dev)
	case a.Prefix.Addr().Is4():
		s.logf(logging.Info, "net_addr_v4_add: %s dev %s", a.Prefix, dev)
	default:
		s.logf(logging.Info, "net_addr_v6_add: %s dev %s", a.Prefix, dev)
	}
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.AddrAdd(l, a.netlink()); err != nil {
		err = s.failed(err)
		if a.Prefix.Addr().Is6() && ipv6Off(dev, err) {
			return ErrNoIPv6
		}
		return err
	}
	return nil
}

// ipv6Off reports whether the kernel refused an IPv6 address of a device because it does no IPv6 there. Security modules give
// the same error as the switch, so that a switch that can be read and is on IPv6's side means another reason.
func ipv6Off(dev string, refusal error) bool {
	if errors.Is(refusal, unix.EOPNOTSUPP) || errors.Is(refusal, unix.EAFNOSUPPORT) {
		return true // a kernel without IPv6
	}
	if !errors.Is(refusal, unix.EACCES) {
		return false
	}
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + dev + "/disable_ipv6")
	return err != nil || strings.TrimSpace(string(off)) != "0"
}

// DelAddr takes an address away.
func (s *System) DelAddr(dev string, a Addr) error {
	switch {
	case a.Peer.IsValid():
		s.logf(logging.Info, "net_addr_ptp_v4_del: %s dev %s", a.Prefix.Addr(), dev)
	case a.Prefix.Addr().Is4():
		s.logf(logging.Info, "net_addr_v4_del: %s dev %s", a.Prefix.Addr(), dev)
	default:
		s.logf(logging.Info, "net_addr_v6_del: %s dev %s", a.Prefix, dev)
	}
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	if err := s.h.AddrDel(l, a.netlink()); err != nil {
		return s.failed(err)
	}
	return nil
}

func (a Addr) netlink() *netlink.Addr {
	out := &netlink.Addr{IPNet: ipNet(a.Prefix)}
	if a.Prefix.Addr().Is4() {
		out.Broadcast = net.IPv4zero // none: a tunnel has no broadcasts
	}
	if a.Peer.IsValid() {
		bits := a.Prefix.Addr().BitLen()
		out.IPNet = ipNet(netip.PrefixFrom(a.Prefix.Addr(), bits))
		out.Peer = ipNet(netip.PrefixFrom(a.Peer, bits))
	}
	return out
}

// ipNet keeps host bits.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// route builds the kernel's form. A device that does not exist is an error.
func (s *System) route(r Route) (*netlink.Route, error) {
	dst := r.Dst
	if dst.Addr().Is6() {
		dst = dst.Masked() // stock clears IPv6 host bits, and leaves IPv4 ones for the kernel to refuse
	}
	out := &netlink.Route{Dst: ipNet(dst), Table: r.Table}
	if r.Metric > 0 {
		out.Priority = r.Metric
	}
	if r.Via.IsValid() && !r.Via.IsUnspecified() {
		out.Gw = r.Via.AsSlice()
	} else if dst.Addr().Is4() {
		out.Scope = netlink.SCOPE_LINK
	}
	if r.Dev != "" {
		l, err := s.link(r.Dev)
		if err != nil {
			return nil, err
		}
		out.LinkIndex = l.Attrs().Index
	}
	return out, nil
}

// line is the common tail of a route's log lines. dev is the name to show.
func (r Route) line(dev string) string {
	via := r.Via
	if !via.IsValid() {
		via = netip.IPv4Unspecified()
		if r.Dst.Addr().Is6() {
			via = netip.IPv6Unspecified()
		}
	}
	if dev == "" {
		dev = "[NULL]"
	}
	dst := r.Dst
	if dst.Addr().Is6() {
		dst = dst.Masked()
	}
	return fmt.Sprintf("%s via %s dev %s table %d metric %d", dst, via, dev, r.Table, r.Metric)
}

// AddRoute adds a route. The kernel refuses only an equal one; a route to the same place through another gateway is put in
// front of the old one, as with stock.
func (s *System) AddRoute(r Route) error {
	if r.Dst.Addr().Is4() {
		s.logf(logging.Steps, "net_route_v4_add: %s", r.line(r.Dev))
	} else {
		gw := r.Via
		if r.Shown.IsValid() {
			gw = r.Shown
		} else if !gw.IsValid() {
			gw = netip.IPv6Unspecified()
		}
		s.logf(logging.Steps, "add_route_ipv6(%s -> %s metric %d) dev %s", r.Dst.Masked(), gw, r.Metric, r.Dev)
		s.logf(logging.Steps, "net_route_v6_add: %s", r.line(r.Dev))
	}
	nr, err := s.route(r)
	if err == nil {
		// RouteAdd asks for exclusive creation, which also refuses other gateways.
		if err = s.h.RouteAddEcmp(nr); err != nil {
			err = s.failed(err)
		}
	}
	switch {
	case errors.Is(err, ErrExists):
		s.logf(logging.Info, "NOTE: Linux route add command failed because route exists")
	case err != nil:
		s.logf(logging.Info, "ERROR: Linux route add command failed")
	}
	return err
}

// DelRoute deletes a route.
func (s *System) DelRoute(r Route) error {
	if r.Dst.Addr().Is4() {
		s.logf(logging.Steps, "net_route_v4_del: %s", r.line(""))
	} else {
		s.logf(logging.Steps, "delete_route_ipv6(%s)", r.Dst.Masked())
		s.logf(logging.Steps, "net_route_v6_del: %s", r.line(r.Dev))
	}
	nr, err := s.route(r)
	if err == nil {
		if err = s.h.RouteDel(nr); err != nil {
			err = s.failed(err)
		}
	}
	if err != nil {
		s.logf(logging.Info, "ERROR: Linux route delete command failed")
	}
	return err
}
