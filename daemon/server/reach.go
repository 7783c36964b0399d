package server

import (
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
)

// A Reach hears which prefixes lead to clients of this server, so that packets from elsewhere find them. The hub calls it; its methods
// return at once. Close comes last.
type Reach interface {
	Here(p netip.Prefix)
	Gone(p netip.Prefix)
	Close()
}

// far holds what leads to other nodes. The hub owns it.
type far struct {
	nodes map[*relay.Node]*dataPath
	ways  map[netip.Prefix]*dataPath // also those in whose place a client of ours is
}

// openReach begins with what the fleet asks for.
func (r *routing) openReach(p *plane, d Deps, dev string) (err error) {
	if d.Reach != nil {
		if r.reach, err = d.Reach(dev); err != nil {
			return err
		}
	}
	if d.Relay == nil {
		return nil
	}
	re := newRelaying()
	nodes, err := d.Relay(relayHost{p.inbox, re})
	if err != nil {
		return err
	}
	re.link = nodes.Link()
	p.relaying = re
	r.reach = append(r.reach, nodes)
	return nil
}

// unreach ends it, once.
func (r *routing) unreach() {
	for _, reach := range r.reach {
		reach.Close()
	}
	r.reach = nil
}

// lead makes a prefix lead to a client.
func (r *routing) lead(p netip.Prefix, to *dataPath, now time.Time) {
	r.routes.Add(p, to, second(now))
	for _, reach := range r.reach {
		reach.Here(p.Masked())
	}
}

// unlead is the end of lead, unless another client has the prefix by now.
func (r *routing) unlead(p netip.Prefix, of *dataPath, now time.Time) {
	if !r.routes.Remove(p, of) {
		return
	}
	for _, reach := range r.reach {
		reach.Gone(p.Masked())
	}
	if to := r.far.ways[p.Masked()]; to != nil {
		r.routes.Add(p, to, second(now))
	}
}

// client is the client that exactly this prefix leads to, nil for none.
func (r *routing) client(p netip.Prefix) *dataPath {
	if d := r.routes.Owner(p); d != nil && d.node == nil {
		return d
	}
	return nil
}

// leadFar makes a prefix lead to another node, nil for none, where no client of ours has it.
func (r *routing) leadFar(w relay.Way, now time.Time) {
	was, to := r.far.ways[w.Prefix], r.far.nodes[w.Node]
	if to == nil {
		delete(r.far.ways, w.Prefix)
	} else {
		r.far.ways[w.Prefix] = to
	}
	switch {
	case r.client(w.Prefix) != nil:
	case to != nil:
		r.routes.Add(w.Prefix, to, second(now))
	case was != nil:
		r.routes.Remove(w.Prefix, was)
	}
}
