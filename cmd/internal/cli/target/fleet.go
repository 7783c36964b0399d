package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
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

// callNode finds a node. The caller closes c.
func callNode(t Target) (c *node.Caller, m node.Member, err error) {
	if c, err = node.NewCaller(t.Source); err != nil {
		return nil, m, err
	}
	if m, err = c.Member(strings.TrimPrefix(t.Address, fleetScheme)); err != nil {
		c.Close()
		return nil, m, err
	}
	return c, m, nil
}

// DialFleet opens a seat of the management port of a node, through the talk of the fleet's nodes.
func DialFleet(ctx context.Context, t Target) (net.Conn, error) {
	c, m, err := callNode(t)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Manage(ctx, m)
}

// FleetHistory asks a node for the events of its daemon's journal that a filter takes, oldest first. A node that does not begin to answer
// within a time is away.
func FleetHistory(ctx context.Context, t Target, within time.Duration, f index.Filter) ([]journal.Event, error) {
	c, m, err := callNode(t)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	question, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(within, func() { cancel(fmt.Errorf("no answer within %v", within)) })
	defer late.Stop()
	var list []journal.Event
	err = c.History(ctx, m, question, func(line []byte) error {
		late.Reset(within)
		var e journal.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("an event of node %s: %w", t.Name, err)
		}
		list = append(list, e)
		return nil
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return list, err
}
