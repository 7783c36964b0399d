package server

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// roster holds the clients of a hub, and finds them.
type roster struct {
	table       *table               // by address and by peer-id; the data plane reads it
	instances   map[uint64]*instance // by cid
	names       names
	clients     int // that logged in
	established int
}

func newRoster(maxClients int) roster {
	return roster{table: newTable(slotsFor(maxClients)), instances: make(map[uint64]*instance), names: make(names)}
}

// of is the instance of a data path, nil for nil.
func (r *roster) of(d *dataPath) *instance {
	if d == nil {
		return nil
	}
	return d.owner.instance
}

// at is the instance at an address, nil for none.
func (r *roster) at(p transport.Peer) *instance { return r.of(r.table.byPeer(p)) }

// oldestFirst lists all clients.
func (r *roster) oldestFirst() []*instance {
	return inOrder(slices.Collect(maps.Values(r.instances)))
}

// named lists the clients of a common name, oldest first.
func (r *roster) named(commonName string) []*instance {
	return inOrder(slices.Collect(maps.Keys(r.names[commonName])))
}

// crowd is the network with the most clients that have not logged in, over streams or at all, and the oldest of those, nil for none. One
// that waits for a verdict is not the oldest: a person may be typing a code.
func (r *roster) crowd(streams bool) (network netip.Prefix, oldest *instance) {
	first := make(map[netip.Prefix]*instance)
	held := make(map[netip.Prefix]int)
	for _, i := range r.instances {
		if i.stage >= session.Authorised || streams && !i.link.RemoteAddr().IsValid() {
			continue
		}
		p := ratelimit.Prefix(i.peer.Load().Addr.Addr())
		if held[p]++; held[p] > held[network] {
			network = p
		}
		if o := first[p]; i.session.Login() == 0 && (o == nil || i.cid < o.cid) {
			first[p] = i
		}
	}
	return network, first[network]
}

// inOrder sorts instances by age.
func inOrder(list []*instance) []*instance {
	slices.SortFunc(list, func(a, b *instance) int { return cmp.Compare(a.cid, b.cid) })
	return list
}

// names finds instances by their common name.
type names map[string]map[*instance]struct{}

func (n names) add(i *instance) {
	set := n[undef(i.commonName)]
	if set == nil {
		set = make(map[*instance]struct{})
		n[undef(i.commonName)] = set
	}
	set[i] = struct{}{}
}

func (n names) remove(i *instance) {
	set := n[undef(i.commonName)]
	delete(set, i)
	if len(set) == 0 {
		delete(n, undef(i.commonName))
	}
}

// others returns the other instances of a common name, oldest first. A client without a name is not one that is called UNDEF.
func (n names) others(i *instance) []*instance {
	var list []*instance
	for o := range n[undef(i.commonName)] {
		if o != i && o.commonName == i.commonName {
			list = append(list, o)
		}
	}
	return inOrder(list)
}
