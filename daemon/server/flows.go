package server

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/moongate-vpn/moongate/daemon/server/forward"
)

// flows are the conversations that clients of this node have by way of other nodes: what a client answers goes back where the question came
// from. The zero value is ready.
type flows struct {
	mu    sync.RWMutex // guards what follows
	by    map[flow]*flowState
	count map[*dataPath]int // by node
	swept int64             // second of the last look for old ones
}

// flow names a conversation from the client's side. Of fragments only the first has ports: the others go their own way.
type flow struct {
	client, other netip.Addr
	proto         byte
	ports         [4]byte // the client's first; the identifier of an echo
}

type flowState struct {
	node *dataPath
	last atomic.Int64 // second
}

const (
	flowsMost = 1 << 14 // of one node
	flowIdle  = 300     // seconds
)

// back is the node that an answer of a client belongs to, nil for none.
func (f *flows) back(packet []byte, now int64) *dataPath {
	key, ok := flowOf(packet)
	if !ok {
		return nil
	}
	f.mu.RLock()
	s := f.by[key]
	f.mu.RUnlock()
	if s == nil || now-s.last.Load() > flowIdle {
		return nil
	}
	s.last.Store(now)
	return s.node
}

// note remembers by which node a packet for a client came.
func (f *flows) note(packet []byte, node *dataPath, now int64) {
	key, ok := flowOf(packet)
	if !ok {
		return
	}
	key.client, key.other = key.other, key.client
	key.ports = [4]byte{key.ports[2], key.ports[3], key.ports[0], key.ports[1]}
	f.mu.RLock()
	s := f.by[key]
	f.mu.RUnlock()
	if s != nil && s.node == node {
		s.last.Store(now)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by, f.count = make(map[flow]*flowState), make(map[*dataPath]int)
	}
	if f.count[node] >= flowsMost {
		f.sweep(now)
		if f.count[node] >= flowsMost {
			return // what the client answers goes its own way
		}
	}
	if old := f.by[key]; old != nil {
		f.drop(key, old)
	}
	s = &flowState{node: node}
	s.last.Store(now)
	f.by[key] = s
	f.count[node]++
}

// sweep forgets old conversations, once a second at the most.
func (f *flows) sweep(now int64) {
	if f.swept == now {
		return
	}
	f.swept = now
	for key, s := range f.by {
		if now-s.last.Load() > flowIdle {
			f.drop(key, s)
		}
	}
}

// forget forgets the conversations by way of a node.
func (f *flows) forget(node *dataPath) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.by, func(_ flow, s *flowState) bool { return s.node == node })
	delete(f.count, node)
}

func (f *flows) drop(key flow, s *flowState) {
	delete(f.by, key)
	f.count[s.node]--
}

// flowOf names the conversation of a packet that a client sends.
func flowOf(packet []byte) (f flow, ok bool) {
	src, dst, ok := forward.Addresses(packet)
	if !ok {
		return f, false
	}
	f.client, f.other = src, dst
	var rest []byte
	if src.Is4() {
		header := int(packet[0]&15) * 4
		if binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 || header < 20 || len(packet) < header {
			return f, false
		}
		f.proto, rest = packet[9], packet[header:]
	} else {
		f.proto, rest = packet[6], packet[40:]
	}
	switch f.proto {
	case 6, 17, 132, 33: // TCP, UDP, SCTP, DCCP: two ports
		if len(rest) < 4 {
			return f, false
		}
		f.ports = [4]byte(rest)
	case 1, 58: // ICMP: echo requests and answers have an identifier
		if len(rest) < 6 {
			return f, false
		}
		if echo := rest[0] == 0 || rest[0] == 8; f.proto == 1 && echo || f.proto == 58 && (rest[0] == 128 || rest[0] == 129) {
			f.ports = [4]byte{rest[4], rest[5], rest[4], rest[5]}
		}
	}
	return f, true
}
