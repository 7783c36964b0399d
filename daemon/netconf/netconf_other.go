//go:build !linux

package netconf

import (
	"errors"
	"net"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// System is the Net of this host. Elsewhere than on Linux, up scripts configure the device (ifconfig-noexec, route-noexec).
type System struct{}

var errSystem = errors.New("network configuration needs Linux: use ifconfig-noexec, route-noexec and scripts")

// Namespace fails here.
func Namespace() (string, error) { return "", errSystem }

// New fails here.
func New(logging.Func) (*System, error) { return nil, errSystem }

// Close has nothing to do.
func (*System) Close() {}

// SetMTU fails here, and so do the others.
func (*System) SetMTU(string, int) error                   { return errSystem }
func (*System) SetUp(string) error                         { return errSystem }
func (*System) SetMAC(string, net.HardwareAddr) error      { return errSystem }
func (*System) SetTxQueueLen(string, int) error            { return errSystem }
func (*System) AddAddr(string, Addr) error                 { return errSystem }
func (*System) DelAddr(string, Addr) error                 { return errSystem }
func (*System) AddRoute(Route) error                       { return errSystem }
func (*System) DelRoute(Route) error                       { return errSystem }
func (*System) DefaultGateway(netip.Addr) (Gateway, error) { return Gateway{}, errSystem }
