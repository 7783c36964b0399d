// Package relay carries packets between the nodes of a fleet.
//
// Two nodes have one connection over TLS, with the certificates of the fleet; the one whose name sorts first opens it. Over it each tells the other
// which prefixes lead to its clients, and from it both take the keys of a data channel:
//
//	TLS   {"id":…,"port":…} ─► {"here":[{"p":PREFIX,"age":MS}],"gone":[PREFIX]} ─► {} every few seconds
//	UDP   P_DATA_V2 of daemon/data with epoch keys; the peer-id is the one that the receiver chose
//
// A node that falls silent leads nowhere. Nothing here needs the fleet's store.
package relay

import (
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// A Node is another node that packets can be handed to, for the time of one connection.
type Node struct {
	Name string
	// ID is the peer-id of the packets that it sends here.
	ID uint32
	// Peer is where packets for it go.
	Peer transport.Peer
	// Out seals packets for it, In opens those that it sent.
	Out, In *data.Channel
}

// A Way is a prefix and the node that it leads to, nil for none any more.
type Way struct {
	Prefix netip.Prefix
	Node   *Node
}

// A Host is the server for whose clients packets come. It hears of one change at a time.
type Host interface {
	// NodeUp comes before a node is in a way, NodeDown after it is in none.
	NodeUp(n *Node)
	NodeDown(n *Node)
	// Ways replaces where prefixes lead.
	Ways(list []Way)
}

// Limits.
const (
	// WaysMost is how many prefixes one node may tell of.
	WaysMost = 1 << 16

	lineMost     = 64 << 10
	waysPerLine  = 400
	helloWithin  = 5 * time.Second
	aliveEvery   = 2 * time.Second
	silence      = 7 * time.Second
	dialEvery    = time.Second
	renewAfter   = time.Hour // of a connection, for fresh keys
	secretLength = 256
	secretLabel  = "EXPORTER-moongate-fleet-relay"
)
