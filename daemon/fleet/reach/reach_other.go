//go:build !linux

package reach

import (
	"errors"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

var errSystem = errors.New("this needs Linux; relay works everywhere")

// Kernel needs Linux.
type Kernel struct{}

// OpenKernel fails here.
func OpenKernel(string, logging.Func) (*Kernel, error) { return nil, errSystem }

// Here and its kin do nothing.
func (*Kernel) Here(netip.Prefix) {}

// Gone does nothing.
func (*Kernel) Gone(netip.Prefix) {}

// Close does nothing.
func (*Kernel) Close() {}

// Neighbours needs Linux.
type Neighbours struct{}

// OpenNeighbours fails here.
func OpenNeighbours([]string, netip.Addr, logging.Func) (*Neighbours, error) { return nil, errSystem }

// Here and its kin do nothing.
func (*Neighbours) Here(netip.Prefix) {}

// Gone does nothing.
func (*Neighbours) Gone(netip.Prefix) {}

// Close does nothing.
func (*Neighbours) Close() {}
