package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ways are the prefixes of all other nodes. Of several nodes with one prefix, that counts to which the client came last.
type ways struct {
	host Host

	mu    sync.Mutex // guards what follows, and keeps what the host hears in order
	by    map[netip.Prefix][]candidate
	count map[*Node]int
}

func newWays(h Host) ways {
	return ways{host: h, by: make(map[netip.Prefix][]candidate), count: make(map[*Node]int)}
}

type candidate struct {
	node  *Node
	since time.Time
}

// best is the node that a list leads to.
func best(list []candidate) *Node {
	var b candidate
	for _, c := range list {
		if b.node == nil || c.since.After(b.since) {
			b = c
		}
	}
	return b.node
}

func (w *ways) up(n *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host.NodeUp(n)
}

func (w *ways) down(n *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Way
	for p := range w.by {
		list = w.remove(list, p, n)
	}
	if len(list) > 0 {
		w.host.Ways(list)
	}
	delete(w.count, n)
	w.host.NodeDown(n)
}

// take takes in a line of a node.
func (w *ways) take(n *Node, l line) error {
	for _, h := range l.Here {
		if p := h.Prefix; !p.IsValid() || p.Bits() == 0 || p.Addr().IsMulticast() || p.Masked() != p {
			return fmt.Errorf("node %s tells of clients at %q", n.Name, p)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	var list []Way
	for _, p := range l.Gone {
		list = w.remove(list, p, n)
	}
	for _, h := range l.Here {
		all := w.by[h.Prefix]
		before := best(all)
		all = slices.DeleteFunc(all, func(c candidate) bool { return c.node == n })
		if len(all) == len(w.by[h.Prefix]) {
			if w.count[n] >= WaysMost {
				return fmt.Errorf("node %s tells of more than %d prefixes", n.Name, WaysMost)
			}
			w.count[n]++
		}
		all = append(all, candidate{n, now.Add(-time.Duration(h.Age) * time.Millisecond)})
		w.by[h.Prefix] = all
		if after := best(all); after != before {
			list = append(list, Way{h.Prefix, after})
		}
	}
	if len(list) > 0 {
		w.host.Ways(list)
	}
	return nil
}

// remove takes a node's claim to a prefix away, and adds what that changes to a list.
func (w *ways) remove(list []Way, p netip.Prefix, n *Node) []Way {
	all := w.by[p]
	before := best(all)
	left := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.node == n })
	if len(left) == len(all) {
		return list
	}
	w.count[n]--
	if w.by[p] = left; len(left) == 0 {
		delete(w.by, p)
	}
	if now := best(left); now != before {
		list = append(list, Way{p, now})
	}
	return list
}
