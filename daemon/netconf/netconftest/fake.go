// Package netconftest has a network configuration in memory, for tests of what uses netconf.
package netconftest

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// Fake is a netconf.Net that changes nothing. It is safe for concurrent use.
type Fake struct {
	// Gateway4 and Gateway6 are the answers of DefaultGateway; one without a device means there is none. Set them before use.
	Gateway4, Gateway6 netconf.Gateway

	mu     sync.Mutex // guards what follows
	calls  []string
	routes []netconf.Route
	addrs  map[string][]netconf.Addr
	fail   map[string]error
}

var _ netconf.Net = (*Fake)(nil)

// Fail makes calls that print like call fail with err, see Calls.
func (f *Fake) Fail(call string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		f.fail = make(map[string]error)
	}
	f.fail[call] = err
}

// Calls are the changes asked for so far, such as "mtu tun0 1500", "up tun0", "add addr tun0 10.8.0.2/24",
// "add route 10.0.0.0/8 via 10.8.0.1 metric -1".
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Routes are the routes present, in the order added.
func (f *Fake) Routes() []netconf.Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.routes)
}

// Addrs are the addresses of a device.
func (f *Fake) Addrs(dev string) []netconf.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.addrs[dev])
}

// call records a call; the caller holds the lock.
func (f *Fake) call(format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	f.calls = append(f.calls, s)
	return f.fail[s]
}

func (f *Fake) locked(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.call(format, args...)
}

// SetMTU records.
func (f *Fake) SetMTU(dev string, mtu int) error { return f.locked("mtu %s %d", dev, mtu) }

// SetUp records.
func (f *Fake) SetUp(dev string) error { return f.locked("up %s", dev) }

// SetMAC records.
func (f *Fake) SetMAC(dev string, mac net.HardwareAddr) error {
	return f.locked("mac %s %s", dev, mac)
}

// SetTxQueueLen records.
func (f *Fake) SetTxQueueLen(dev string, n int) error { return f.locked("txqueuelen %s %d", dev, n) }

func addrText(a netconf.Addr) string {
	if a.Peer.IsValid() {
		return fmt.Sprintf("%s peer %s", a.Prefix.Addr(), a.Peer)
	}
	return a.Prefix.String()
}

// AddAddr adds an address, netconf.ErrExists if it is there.
func (f *Fake) AddAddr(dev string, a netconf.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("add addr %s %s", dev, addrText(a)); err != nil {
		return err
	}
	if slices.Contains(f.addrs[dev], a) {
		return netconf.ErrExists
	}
	if f.addrs == nil {
		f.addrs = make(map[string][]netconf.Addr)
	}
	f.addrs[dev] = append(f.addrs[dev], a)
	return nil
}

// DelAddr deletes an address.
func (f *Fake) DelAddr(dev string, a netconf.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("del addr %s %s", dev, addrText(a)); err != nil {
		return err
	}
	i := slices.Index(f.addrs[dev], a)
	if i < 0 {
		return fmt.Errorf("no address %s on %s", addrText(a), dev)
	}
	f.addrs[dev] = slices.Delete(f.addrs[dev], i, i+1)
	return nil
}

func routeText(r netconf.Route) string {
	s := r.Dst.String()
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Dev != "" {
		s += " dev " + r.Dev
	}
	if r.Table != 0 {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	return s + fmt.Sprintf(" metric %d", r.Metric)
}

func (f *Fake) index(r netconf.Route) int {
	return slices.IndexFunc(f.routes, func(o netconf.Route) bool {
		return o.Dst == r.Dst && o.Via == r.Via && o.Metric == r.Metric && o.Table == r.Table && o.Dev == r.Dev
	})
}

// AddRoute adds a route, netconf.ErrExists if it is there.
func (f *Fake) AddRoute(r netconf.Route) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("add route %s", routeText(r)); err != nil {
		return err
	}
	if f.index(r) >= 0 {
		return netconf.ErrExists
	}
	f.routes = append(f.routes, r)
	return nil
}

// DelRoute deletes a route.
func (f *Fake) DelRoute(r netconf.Route) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("del route %s", routeText(r)); err != nil {
		return err
	}
	i := f.index(r)
	if i < 0 {
		return fmt.Errorf("no route %s", routeText(r))
	}
	f.routes = slices.Delete(f.routes, i, i+1)
	return nil
}

// DefaultGateway answers with Gateway4 or Gateway6.
func (f *Fake) DefaultGateway(towards netip.Addr) (netconf.Gateway, error) {
	g := f.Gateway4
	if towards.Is6() {
		g = f.Gateway6
	}
	if g.Dev == "" {
		return netconf.Gateway{}, netconf.ErrNoGateway
	}
	return g, nil
}
