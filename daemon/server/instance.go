package server

import (
	"context"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// instance is one client. Each of its parts has one owner:
//
//	dataPath    the data plane: fixed before it is seen, or published by atomics. Tables and receivers hold this part only
//	origin      nobody: it never changes
//	handshake   the goroutine of a TLS handshake, which hands results to the hub by atomics
//	hubSide     the hub's goroutine
//
// The data plane gets from a dataPath to its instance only through a function that the hub runs: see hub.of.
type instance struct {
	dataPath
	origin
	handshake
	hubSide
}

// dataPath is the data plane's part of a client.
type dataPath struct {
	cid    uint64 // counts the clients of the server
	slot   uint32 // index in the table of instances, and the peer-id pushed to the client
	link   transport.Link
	proto  string                         // in front of peer's address, see outer
	peer   atomic.Pointer[transport.Peer] // moves when the client floats
	tunnel atomic.Pointer[data.Channel]   // nil until the client is authorised
	open   sync.Mutex                     // one packet is opened at a time, also while two sockets have some
	queued atomic.Int32                   // control packets on their way to the hub
	counts counts

	// Set before tunnel is.
	name        string // common name
	vlan        uint16 // 0 without vlan-tagging
	maxStations int
	learns      *ratelimit.Bucket // stations that may come or move; one a second comes back
	restless    atomic.Bool       // the log has said that they come and move faster

	node *relay.Node // that the path leads to, nil for a client

	asks *ratelimit.Bucket // what the client's packets may ask of the hub besides

	owner hubOwned
}

// hubSide is the hub's part of a client. No other goroutine touches it. Each of its parts has one file that writes it:
//
//	appointment   deadlines: when the client is stepped next
//	succession    succession.go: which instance takes whose place
//	identity      identity.go: the certificates and the first key message
//	logins        login.go: the questions about each key
//	token         token.go: the session of its auth-tokens
//	virtual       leases.go, connect.go: its addresses in the tunnel
//	learned       learn.go: what leads to it
type hubSide struct {
	appointment
	succession
	identity
	logins  logins
	token   tokenSession
	virtual virtual
	learned learned

	session   *session.Session
	stepping  bool // its events are being handled
	stage     session.Stage
	timers    session.Timers
	push      session.Push
	mtuTest   session.MTUTest
	offloaded *offloaded
	config    *config.ClientConfig // nil before it is Configured
	noise     *ratelimit.Bucket    // lines and notifications that the client may cause
	ending    string               // why it ends, for the journal
	member    uint64               // its number in the fleet, 0 without one
}

// hubOwned hides an instance from the data plane: hub.of reads it.
type hubOwned struct{ instance *instance }

// origin tells how a client came.
type origin struct {
	since   time.Time
	base    *keys.StaticKey // of dynamic tls-crypt
	present context.Context // ends with the client
	leave   context.CancelFunc
}

// handshake holds what TLS handshakes hand to the hub.
type handshake struct {
	awake    atomic.Bool                         // the hub is to step the session
	verified atomic.Pointer[[]*x509.Certificate] // the chain that was found, until tlsUp takes it
}

// counts is the traffic of one instance.
type counts struct {
	session.Traffic
	badSource, failed atomic.Uint64 // packets dropped: foreign source address, not authentic
}

// sent notes packets that went to the client.
func (i *dataPath) sent(bytes int, now time.Time) {
	i.counts.LinkOut.Add(uint64(bytes))
	i.counts.Sent(now)
}
