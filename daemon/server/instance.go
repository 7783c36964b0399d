package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// instance is one client. The hub owns it, except for what stands in the first group.
type instance struct {
	// For the data plane: set once, or published by atomics.
	cid    uint64 // counts the clients of the server
	slot   uint32 // index in the table of instances, and the peer-id pushed to the client
	link   transport.Link
	peer   atomic.Pointer[transport.Peer] // moves when the client floats
	tunnel atomic.Pointer[data.Channel]   // nil until the client is authorised
	open   sync.Mutex                     // one packet is opened at a time, also while two sockets have some
	counts counts

	// Set before tunnel is, for frames.
	vlan        uint16 // 0 without vlan-tagging
	maxStations int

	hubSide
}

// counts is the traffic of one instance.
type counts struct {
	session.Traffic
	badSource, failed atomic.Uint64 // packets dropped: foreign source address, not authentic
}

// table finds the instance of a link packet: by peer-id, or by address. The hub writes, the data plane reads.
type table struct {
	slots atomic.Pointer[[]atomic.Pointer[instance]] // replaced by a larger one; see grow
	mu    sync.RWMutex                               // guards peers
	peers map[transport.Peer]*instance
}

func newTable(maxClients int) *table {
	t := &table{peers: make(map[transport.Peer]*instance)}
	t.grow(maxClients)
	return t
}

// bySlot is the instance with a peer-id, or nil.
func (t *table) bySlot(id uint32) *instance {
	slots := t.all()
	if id >= uint32(len(slots)) {
		return nil
	}
	return slots[id].Load()
}

// byPeer is the instance at an address, or nil.
func (t *table) byPeer(p transport.Peer) *instance {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[p]
}

// add enters an instance in the lowest free slot and reports whether there was one.
func (t *table) add(i *instance) bool {
	slots := t.all()
	for n := range slots {
		if slots[n].Load() == nil {
			i.slot = uint32(n)
			slots[n].Store(i)
			t.mu.Lock()
			t.peers[*i.peer.Load()] = i
			t.mu.Unlock()
			return true
		}
	}
	return false
}

// move changes the address of an instance.
func (t *table) move(i *instance, to transport.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from := *i.peer.Load(); t.peers[from] == i {
		delete(t.peers, from)
	}
	i.peer.Store(&to)
	t.peers[to] = i
}

func (t *table) remove(i *instance) {
	t.all()[i.slot].CompareAndSwap(i, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := *i.peer.Load(); t.peers[at] == i {
		delete(t.peers, at)
	}
}

// sent notes packets that went to the client.
func (i *instance) sent(bytes int, now time.Time) {
	i.counts.LinkOut.Add(uint64(bytes))
	i.counts.Sent(now)
}
