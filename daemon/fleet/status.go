package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// NodeStatus is a node as another sees it.
type NodeStatus struct {
	Name string `json:"name"`
	// State is up, silent (not heard of for ten seconds), or draining.
	State string `json:"state"`
	// Self is the node that tells.
	Self      bool     `json:"self,omitempty"`
	Sessions  int      `json:"sessions"`
	Heard     float64  `json:"heard"` // seconds ago
	Addresses []string `json:"addresses,omitempty"`
	Version   string   `json:"version,omitempty"`
}

// States of a store in a [Status].
const (
	StoreUp   = "up"
	StoreAway = "away"
	StoreOut  = "out" // the node is no part of the fleet, any more or before it has the same pool
)

// Status is the fleet as one node sees it.
type Status struct {
	Node string `json:"node"`
	// Store is one of the states above, Why the reason of StoreOut.
	Store    string       `json:"store"`
	Why      string       `json:"why,omitempty"`
	Draining bool         `json:"draining"`
	Sessions int          `json:"sessions"`
	Slots    int          `json:"slots"`
	Leases   int          `json:"leases"` // that are held
	Slice    int          `json:"slice"`  // size of this node's part of the pool, for the times when the store is away
	Nodes    []NodeStatus `json:"nodes"`
}

// Status describes the fleet.
func (m *Member) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	s := Status{Node: m.cfg.Node, Store: StoreUp, Draining: m.draining, Sessions: len(m.sessions), Slots: m.cfg.Slots, Nodes: []NodeStatus{}}
	switch {
	case m.out != nil || m.waits != nil:
		s.Store, s.Why = StoreOut, cmp.Or(m.out, m.waits).Error()
	case m.away || !m.joined:
		s.Store = StoreAway
	}
	if m.slice >= 0 {
		s.Slice = m.geo.size
	}
	for _, e := range m.mirror.leases {
		if e.over.IsZero() {
			s.Leases++
		}
	}
	for _, e := range m.mirror.below(kindNode) {
		n, name := as[Node](e), strings.TrimPrefix(e.Key, kindNode+".")
		if parts, ok := Segments(name); ok {
			name = parts[0]
		}
		ns := NodeStatus{Name: name, State: "up", Self: name == m.cfg.Node, Sessions: n.Sessions, Heard: now.Sub(e.at).Round(100 * time.Millisecond).Seconds(), Addresses: n.Addresses, Version: n.Version}
		switch {
		case ns.Self:
			ns.Heard, ns.Sessions = 0, len(m.sessions)
			if m.draining {
				ns.State = "draining"
			}
		case now.Sub(e.at) >= silence:
			ns.State = "silent"
		case n.Draining:
			ns.State = "draining"
		}
		s.Nodes = append(s.Nodes, ns)
	}
	slices.SortFunc(s.Nodes, func(a, b NodeStatus) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// Ready reports whether the node is in the fleet and the store answers.
func (m *Member) Ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.joined && !m.away && m.out == nil
}
