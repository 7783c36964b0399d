package forward

import (
	"sync"
	"sync/atomic"
)

// MAC is an Ethernet address.
type MAC [6]byte

// IsGroup reports whether frames to m go to everybody: broadcast and multicast.
func (m MAC) IsGroup() bool { return m[0]&1 != 0 }

// Frame returns the addresses of an Ethernet frame, or ok false when it is too short to have them.
func Frame(frame []byte) (dst, src MAC, ok bool) {
	if len(frame) < 14 {
		return dst, src, false
	}
	return MAC(frame[0:6]), MAC(frame[6:12]), true
}

// Station is where a MAC address was seen last.
type Station[C comparable] struct {
	MAC     MAC
	Client  C
	lastRef atomic.Int64
}

// LastRef is the Unix time of the last frame from or to the station.
func (s *Station[C]) LastRef() int64 { return s.lastRef.Load() }

// Stations is the learning table of a TAP server: the data plane learns the sender of each frame. It is safe for
// concurrent use; the zero value is empty and ready.
type Stations[C comparable] struct {
	mu  sync.RWMutex // guards both maps
	tab map[MAC]*Station[C]
	n   map[C]int // stations of a client
}

// Learn notes that frames from mac come from client. A station moves to whoever sent last. It returns learned
// true when the table changed, and full true, with nothing learned, when client has limit stations already.
func (s *Stations[C]) Learn(mac MAC, client C, limit int, now int64) (learned, full bool) {
	s.mu.RLock()
	e, ok := s.tab[mac]
	s.mu.RUnlock()
	if ok && e.Client == client {
		e.touch(now)
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[client] >= limit {
		return false, true
	}
	if s.tab == nil {
		s.tab, s.n = make(map[MAC]*Station[C]), make(map[C]int)
	}
	if was, ok := s.tab[mac]; ok {
		s.drop(was)
	}
	e = &Station[C]{MAC: mac, Client: client}
	e.lastRef.Store(now)
	s.tab[mac] = e
	s.n[client]++
	return true, false
}

// Lookup finds the client behind mac.
func (s *Stations[C]) Lookup(mac MAC, now int64) (client C, ok bool) {
	s.mu.RLock()
	e, ok := s.tab[mac]
	s.mu.RUnlock()
	if !ok {
		return client, false
	}
	e.touch(now)
	return e.Client, true
}

// Forget removes the stations that match and returns them: those of a client that left, or those not seen for long.
func (s *Stations[C]) Forget(match func(*Station[C]) bool) []*Station[C] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []*Station[C]
	for _, e := range s.tab {
		if match(e) {
			gone = append(gone, e)
			s.drop(e)
		}
	}
	return gone
}

// All returns the stations in no particular order.
func (s *Stations[C]) All() []*Station[C] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Station[C], 0, len(s.tab))
	for _, e := range s.tab {
		all = append(all, e)
	}
	return all
}

// drop removes e. The caller holds mu.
func (s *Stations[C]) drop(e *Station[C]) {
	delete(s.tab, e.MAC)
	if s.n[e.Client]--; s.n[e.Client] == 0 {
		delete(s.n, e.Client)
	}
}

func (s *Station[C]) touch(now int64) {
	if s.lastRef.Load() != now {
		s.lastRef.Store(now)
	}
}
