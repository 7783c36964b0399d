package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/fleet/node"
)

// FleetName is the name that stands for all nodes of the fleet.
const FleetName = "fleet"

// FleetDefault is the folder of this machine's node when nothing else is named.
const FleetDefault = "/etc/moongate/fleet"

const fleetScheme = "fleet://"

// FleetDir is the folder of this machine's node: MOONGATE_FLEET, or the usual one.
func FleetDir(getenv func(string) string) string {
	if dir := getenv("MOONGATE_FLEET"); dir != "" {
		return dir
	}
	return FleetDefault
}

// IsFleet reports whether an address is for DialFleet: fleet://NODE.
func IsFleet(address string) bool { return strings.HasPrefix(address, fleetScheme) }

// nodes are the nodes of the fleet that this machine is in.
func (b Book) nodes() ([]Target, error) {
	c, err := node.NewCaller(b.Fleet)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (MOONGATE_FLEET names another folder)", err)
	} else if err != nil {
		return nil, err
	}
	defer c.Close()
	members, err := c.Members()
	if err != nil {
		return nil, err
	}
	var all []Target
	for _, m := range members {
		all = append(all, Target{Name: m.Name, Address: fleetScheme + m.Name, Source: b.Fleet})
	}
	return all, nil
}

// DialFleet opens a seat of the management port of a node, through the talk of the fleet's nodes.
func DialFleet(ctx context.Context, t Target) (net.Conn, error) {
	c, err := node.NewCaller(t.Source)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := c.Member(strings.TrimPrefix(t.Address, fleetScheme))
	if err != nil {
		return nil, err
	}
	return c.Manage(ctx, m)
}
