package fleet

import (
	"encoding/json"
	"time"
)

// A Node is the record of a running server. Others take it for dead when it has not changed for ten seconds of their own clocks.
type Node struct {
	// Epoch is of one run of the daemon: a node that starts again has another.
	Epoch string `json:"epoch"`
	// Beat grows with each renewal.
	Beat uint64 `json:"beat"`
	// Draining says that the node takes no newcomers.
	Draining bool `json:"draining,omitempty"`
	// Sessions is how many clients it has.
	Sessions int `json:"sessions"`
	// Done is the revision up to which it has carried out orders.
	Done uint64 `json:"done,omitempty"`
	// Addresses are where clients and other nodes reach it.
	Addresses []string `json:"addresses,omitempty"`
	Version   string   `json:"version,omitempty"`
	// Pool is the node's; it can be another one than the store's while the fleet changes it.
	Pool string `json:"pool,omitempty"`
}

// A Holder is a session in the records of what it holds.
type Holder struct {
	Node    string `json:"node"`
	Epoch   string `json:"epoch"`
	Session string `json:"session"`
	// Identity is whom an address is for.
	Identity string `json:"identity,omitempty"`
	// Mark tells clients of one identity apart: two sessions of one mark are one client. An empty mark is like no other.
	Mark string `json:"mark,omitempty"`
}

// sameClient reports whether two holders are the same client, which takes along what it holds.
func (h *Holder) sameClient(o *Holder) bool {
	return h.Identity == o.Identity && h.Mark == o.Mark && h.Mark != ""
}

// sameSession reports whether two holders are the same session.
func (h *Holder) sameSession(o *Holder) bool {
	return h.Node == o.Node && h.Epoch == o.Epoch && h.Session == o.Session
}

// A Lease says which session has a slot of the pool, or had it last. It does not expire: its session is over when its node has another epoch.
type Lease struct {
	Holder
	// Free says that the session is over.
	Free bool `json:"free,omitempty"`
	// Clean says that its client said goodbye, and cannot be on a node out of reach.
	Clean bool `json:"clean,omitempty"`
	// Since is when the session began, by its node's calendar: of two sessions of one client the later is the client's.
	Since time.Time `json:"since"`
}

// A Slice says which node has a part of the pool to itself.
type Slice struct {
	Node string `json:"node"`
}

// A Place is one of the sessions that a user may have at a time.
type Place struct {
	Holder
	Since time.Time `json:"since"`
}

// An OrderKind names the work that an order asks for.
type OrderKind string

// Orders.
const (
	OrderKill OrderKind = "kill" // end the clients that User and CommonName name
)

// An Order is carried out once by each node.
type Order struct {
	ID         string    `json:"id"`
	Kind       OrderKind `json:"kind"`
	User       string    `json:"user,omitempty"`
	CommonName string    `json:"cn,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	By         string    `json:"by,omitempty"`
}

// A Ban keeps a user or a common name out of all nodes.
type Ban struct {
	User       string `json:"user,omitempty"`
	CommonName string `json:"cn,omitempty"`
	Reason     string `json:"reason,omitempty"`
	By         string `json:"by,omitempty"`
	// Until is when it ends by the nodes' calendars; the zero time means never.
	Until time.Time `json:"until,omitzero"`
}

func (b *Ban) key() string {
	if b.User != "" {
		return Key(kindBan, "user", b.User)
	}
	return Key(kindBan, "cn", b.CommonName)
}

// layout is the layout of records that this program reads and writes.
const layout = 3

// identityOfStore is the first record of a store. A store with another ID is a new one, which the nodes fill again.
type identityOfStore struct {
	ID string `json:"id"`
	// Pool describes the addresses; slots mean nothing to nodes with others.
	Pool  string `json:"pool"`
	Slots int    `json:"slots"`
	// Layout is that of the records. It grows when another program would read them wrongly: fields that it does not know are no reason.
	Layout int `json:"layout,omitempty"`
	// Open says that the nodes have had their time to fill the store: what it does not hold is free.
	Open bool `json:"open,omitempty"`
}

// encode is the value of a record. Its types cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// decode reads a record's value, false when it is none of T.
func decode[T any](r Record) (v T, ok bool) {
	err := json.Unmarshal(r.Value, &v)
	return v, err == nil
}
