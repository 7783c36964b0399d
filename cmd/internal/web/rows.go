package web

import (
	"cmp"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// row is a client in the table of the page. ID names it among the rows.
type row struct {
	ID string `json:"id"`
	report.Client
}

// rowID is the number of a client, or its address at daemons that give no numbers.
func rowID(c client.StatusClient) string { return cmp.Or(c.ClientID, c.RealAddress) }

// moved has the counters of a client whose row is else unchanged: id, bytes received, bytes sent.
type moved [3]any

// change brings a browser up to date with one look at the daemon. With All it replaces everything the browser has.
type change struct {
	At    int64    `json:"at"` // milliseconds since 1970
	All   bool     `json:"all,omitempty"`
	Put   []row    `json:"put,omitempty"`
	Moved []moved  `json:"moved,omitempty"`
	Gone  []string `json:"gone,omitempty"`
	// Daemon comes with each look at the daemon, when it is lost, and with All.
	Daemon *daemon `json:"daemon,omitempty"`
}

func (c *change) empty() bool {
	return !c.All && len(c.Put) == 0 && len(c.Moved) == 0 && len(c.Gone) == 0 && c.Daemon == nil
}

// daemon is the daemon as the head of the page shows it.
type daemon struct {
	Connected bool                `json:"connected"` // to its management port
	Why       string              `json:"why,omitempty"`
	Name      string              `json:"name"`
	Server    bool                `json:"server"`
	Title     string              `json:"title"`
	State     *report.StateFields `json:"state,omitempty"`
	Traffic   report.Traffic      `json:"traffic"`
}

// table holds the rows that browsers have been told.
type table map[string]row

// update makes the table that of a report, and returns what changed.
func (t table) update(list []client.StatusClient) (c change) {
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		id := rowID(s)
		seen[id] = true
		now := row{id, report.ClientOf(s)}
		old, ok := t[id]
		t[id] = now
		still := now.Client
		still.BytesReceived, still.BytesSent = old.BytesReceived, old.BytesSent
		switch {
		case !ok || !same(still, old.Client):
			c.Put = append(c.Put, now)
		case now.BytesReceived != old.BytesReceived || now.BytesSent != old.BytesSent:
			c.Moved = append(c.Moved, moved{id, now.BytesReceived, now.BytesSent})
		}
	}
	for id := range t {
		if !seen[id] {
			delete(t, id)
			c.Gone = append(c.Gone, id)
		}
	}
	return c
}

// same compares clients, whose numbers are pointers.
func same(a, b report.Client) bool {
	number := func(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }
	if !number(a.CID, b.CID) || !number(a.PeerID, b.PeerID) {
		return false
	}
	a.CID, a.PeerID, b.CID, b.PeerID = nil, nil, nil, nil
	return a == b
}

// all is the change that brings everything.
func (t table) all() change {
	c := change{All: true, Put: make([]row, 0, len(t))}
	for _, r := range t {
		c.Put = append(c.Put, r)
	}
	return c
}
