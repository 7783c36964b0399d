package server

import (
	"sync"
	"sync/atomic"

	"github.com/moongate-vpn/moongate/daemon/transport"
)

// table finds the client of a link packet: by peer-id, or by address. The hub writes, the data plane reads.
type table struct {
	slots atomic.Pointer[[]atomic.Pointer[dataPath]] // replaced by a larger one; see grow
	mu    sync.RWMutex                               // guards peers
	peers map[transport.Peer]*dataPath
}

func newTable(maxClients int) *table {
	t := &table{peers: make(map[transport.Peer]*dataPath)}
	t.grow(maxClients)
	return t
}

// bySlot is the client with a peer-id, or nil.
func (t *table) bySlot(id uint32) *dataPath {
	slots := t.all()
	if id >= uint32(len(slots)) {
		return nil
	}
	return slots[id].Load()
}

// byPeer is the client at an address, or nil.
func (t *table) byPeer(p transport.Peer) *dataPath {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[p]
}

// add enters an instance in the lowest free slot and reports whether there was one.
func (t *table) add(i *instance) bool {
	slots := t.all()
	for n := range slots {
		if slots[n].Load() == nil {
			i.slot, i.owner.instance = uint32(n), i
			slots[n].Store(&i.dataPath)
			t.mu.Lock()
			t.peers[*i.peer.Load()] = &i.dataPath
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
	if from := *i.peer.Load(); t.peers[from] == &i.dataPath {
		delete(t.peers, from)
	}
	i.peer.Store(&to)
	t.peers[to] = &i.dataPath
}

func (t *table) remove(i *instance) {
	t.all()[i.slot].CompareAndSwap(&i.dataPath, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := *i.peer.Load(); t.peers[at] == &i.dataPath {
		delete(t.peers, at)
	}
}

// all are the slots of the table.
func (t *table) all() []atomic.Pointer[dataPath] { return *t.slots.Load() }

// grow makes room for n instances. Only the hub writes slots, so that nothing is lost between the copy and its
// publication.
func (t *table) grow(n int) {
	var old []atomic.Pointer[dataPath]
	if p := t.slots.Load(); p != nil {
		old = *p
	}
	if n <= len(old) {
		return
	}
	slots := make([]atomic.Pointer[dataPath], n)
	for i := range old {
		slots[i].Store(old[i].Load())
	}
	t.slots.Store(&slots)
}
