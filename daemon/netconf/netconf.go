package netconf

import (
	"errors"
	"net"
	"net/netip"
)

// Errors that callers branch on; all others are the system's.
var (
	// ErrExists says that an equal route or address is there already.
	ErrExists = errors.New("exists already")
	// ErrNoGateway says that there is no default route.
	ErrNoGateway = errors.New("no default gateway")
	// ErrNoIPv6 says that the host, or the device, has IPv6 switched off.
	ErrNoIPv6 = errors.New("IPv6 is disabled")
)

// Addr is an address of a tunnel device.
type Addr struct {
	// Prefix is the address with the length of its subnet. With a Peer only the address counts.
	Prefix netip.Prefix
	// Peer is the other end of a point-to-point address (topologies net30 and p2p); invalid otherwise.
	Peer netip.Addr
}

// NoMetric leaves the choice of a route's metric to the kernel.
const NoMetric = -1

// Route is one route. Dst keeps its host bits: the kernel refuses them, as stock lets it.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // invalid: on link through Dev
	Dev    string     // "" leaves it to the kernel
	Metric int        // NoMetric: none given
	Table  int        // 0: main
	// Shown is the gateway the log names for an IPv6 route that goes to the device without one; may be invalid.
	Shown netip.Addr
}

// Gateway is a way out of this host.
type Gateway struct {
	Addr   netip.Addr   // invalid or unspecified when the destination is on link
	Prefix netip.Prefix // the address of Dev in the gateway's subnet, with its length
	Dev    string
	MAC    net.HardwareAddr
	Metric int // of the default route, NoMetric when none
	OnLink bool
}

// Net changes addresses and routes of the system. Implementations log stock's lines and are safe for concurrent use.
type Net interface {
	SetMTU(dev string, mtu int) error
	SetUp(dev string) error
	SetMAC(dev string, mac net.HardwareAddr) error
	SetTxQueueLen(dev string, n int) error
	// AddAddr gives a device an address; ErrNoIPv6 when it can have none of that family.
	AddAddr(dev string, a Addr) error
	DelAddr(dev string, a Addr) error
	// AddRoute adds a route; ErrExists when an equal one is there (logged as stock's NOTE).
	AddRoute(r Route) error
	DelRoute(r Route) error
	// DefaultGateway finds the way towards an address; an unspecified one (0.0.0.0 or ::) asks for the default route.
	// ErrNoGateway when there is none. For IPv6, stock asks for the server's outer address if that is IPv6.
	DefaultGateway(towards netip.Addr) (Gateway, error)
}
