package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Neighbours answers for the addresses of clients in the networks of some devices, and tells their hosts when a client has come. It is safe
// for concurrent use.
type Neighbours struct {
	h       *netlink.Handle
	devices []device
	raw     int // packet socket, opened with rights that are given up later
	log     logging.Func
	keep    *keeper
	undo    []string // files in which 0 was replaced by 1

	telling sync.WaitGroup
	closed  chan struct{}
}

type device struct {
	name  string
	index int
	mac   [6]byte
}

// announceAt is when the hosts of a network hear of a client after it has come: some learn no more than once a second, and frames get lost.
var announceAt = []time.Duration{0, time.Second, 2 * time.Second}

// OpenNeighbours begins with devices, in the network namespace of the calling thread. Without any it takes the device that has the network
// of an address of a client, else the one with the default route.
func OpenNeighbours(names []string, client netip.Addr, log logging.Func) (_ *Neighbours, err error) {
	n := &Neighbours{raw: -1, log: log.OrDiscard(), closed: make(chan struct{})}
	if n.h, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer func() {
		if err != nil {
			n.release()
		}
	}()
	if len(names) == 0 {
		name, err := outward(n.h, client)
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	for _, name := range names {
		l, err := n.h.LinkByName(name)
		if err != nil {
			return nil, fmt.Errorf("find device %s: %w", name, err)
		}
		if len(l.Attrs().HardwareAddr) != 6 {
			return nil, fmt.Errorf("device %s is no Ethernet: nobody asks there for addresses", name)
		}
		n.devices = append(n.devices, device{name, l.Attrs().Index, [6]byte(l.Attrs().HardwareAddr)})
	}
	if n.raw, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	for _, d := range n.devices {
		n.check(d)
	}
	n.keep = newKeeper(n.log, n.set)
	return n, nil
}

// outward is the device that has the network of an address, else the one with the default route.
func outward(h *netlink.Handle, client netip.Addr) (string, error) {
	links, err := h.LinkList()
	if err != nil {
		return "", fmt.Errorf("list devices: %w", err)
	}
	for _, l := range links {
		if len(l.Attrs().HardwareAddr) != 6 {
			continue
		}
		addrs, err := h.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return "", fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
		}
		for _, a := range addrs {
			if client.IsValid() && a.IPNet.Contains(client.AsSlice()) {
				return l.Attrs().Name, nil
			}
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := h.RouteList(nil, family)
		if err != nil {
			return "", fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if r.Dst != nil {
				if ones, _ := r.Dst.Mask.Size(); ones > 0 {
					continue
				}
			}
			if l, err := h.LinkByIndex(r.LinkIndex); err == nil {
				return l.Attrs().Name, nil
			}
		}
	}
	return "", errors.New("no device has the clients' network or the default route: name one behind fleet-route proxy-arp")
}

// check sees to the switches without which the system does not answer.
func (n *Neighbours) check(d device) {
	if b, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + d.name + "/forwarding"); err == nil && strings.TrimSpace(string(b)) == "0" {
		n.log(logging.Warn, "fleet-route proxy-arp: %s does not forward packets, and so answers for nobody: set net.ipv4.ip_forward", d.name)
	}
	ndp := "/proc/sys/net/ipv6/conf/" + d.name + "/proxy_ndp"
	if b, err := os.ReadFile(ndp); err == nil && strings.TrimSpace(string(b)) == "0" {
		if err := os.WriteFile(ndp, []byte("1"), 0); err != nil { //nolint:gosec // it is there
			n.log(logging.Warn, "fleet-route proxy-arp: IPv6 neighbours get no answers: %v", err)
			return
		}
		n.undo = append(n.undo, ndp)
	}
}

// Here answers for an address from now on, and tells the hosts of the networks. Subnets behind clients are nobody's neighbours.
func (n *Neighbours) Here(p netip.Prefix) {
	if p.IsSingleIP() {
		n.keep.want(p, true)
	}
}

// Gone answers no more.
func (n *Neighbours) Gone(p netip.Prefix) {
	if p.IsSingleIP() {
		n.keep.want(p, false)
	}
}

// Close takes all answers back.
func (n *Neighbours) Close() {
	close(n.closed)
	n.keep.close()
	n.telling.Wait()
	n.release()
}

func (n *Neighbours) release() {
	for _, path := range n.undo {
		_ = os.WriteFile(path, []byte("0"), 0) //nolint:gosec // it is there
	}
	if n.raw >= 0 {
		_ = unix.Close(n.raw)
	}
	n.h.Close()
}

func (n *Neighbours) set(p netip.Prefix, on bool) error {
	var failed error
	for _, d := range n.devices {
		e := &netlink.Neigh{LinkIndex: d.index, Flags: netlink.NTF_PROXY, IP: p.Addr().AsSlice(), Family: netlink.FAMILY_V4}
		if p.Addr().Is6() {
			e.Family = netlink.FAMILY_V6
		}
		var err error
		if on {
			err = n.h.NeighSet(e)
		} else if err = n.h.NeighDel(e); errors.Is(err, unix.ENOENT) {
			err = nil
		}
		failed = errors.Join(failed, err)
	}
	if on && failed == nil {
		n.telling.Go(func() { n.announce(p.Addr()) })
	}
	return failed
}

// announce tells the hosts of the networks that an address is here.
func (n *Neighbours) announce(a netip.Addr) {
	begin := time.Now()
	for _, at := range announceAt {
		select {
		case <-time.After(time.Until(begin.Add(at))):
		case <-n.closed:
			return
		}
		for _, d := range n.devices {
			frame := Announcement(a, d.mac)
			to := &unix.SockaddrLinklayer{Ifindex: d.index, Halen: 6}
			copy(to.Addr[:], frame)
			if err := unix.Sendto(n.raw, frame, 0, to); err != nil {
				n.log(logging.Detail, "fleet-route proxy-arp: tell %s of %s: %v", d.name, a, err)
			}
		}
	}
}
