package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
)

// leftEvery is how often nodes that have left are looked for.
const leftEvery = 5 * time.Second

// takeOutLeft frees what nodes held that have left the fleet, lost ones as well. Each node does so; the first one's word counts.
func (f *fleetPart) takeOutLeft() {
	done := make(map[string]uint64)
	tick := time.NewTicker(leftEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			takeOut(f.p.ctx, f.node.Members(), done, f.member.Leave)
		case <-f.p.ctx.Done():
			return
		}
	}
}

// takeOut calls leave for members that have left, again until it succeeds. done has the versions of those for which it has.
func takeOut(ctx context.Context, members []node.Member, done map[string]uint64, leave func(ctx context.Context, node string) error) {
	for _, m := range members {
		if m.State != node.Left || done[m.Name] == m.Version {
			continue
		}
		one, cancel := context.WithTimeout(ctx, orderPatience)
		err := leave(one, m.Name)
		cancel()
		if err == nil || errors.Is(err, fleet.ErrNotFound) {
			done[m.Name] = m.Version
		}
	}
}
