package forward

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// MAC is an Ethernet address.
type MAC [6]byte

// IsGroup reports whether frames to m go to all stations: broadcast and multicast.
func (m MAC) IsGroup() bool { return m[0]&1 != 0 }

// EtherAddr is a MAC address in a VLAN, 0 where there are none.
type EtherAddr struct {
	MAC  MAC
	VLAN uint16
}

// String prints the address as scripts and logs see it, "02:00:00:00:00:01@0".
func (a EtherAddr) String() string {
	m := a.MAC
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x@%d", m[0], m[1], m[2], m[3], m[4], m[5], a.VLAN)
}

// Frame returns the addresses of an Ethernet frame, or ok false when it is too short to have them.
func Frame(frame []byte) (dst, src MAC, ok bool) {
	if len(frame) < 14 {
		return dst, src, false
	}
	return MAC(frame[0:6]), MAC(frame[6:12]), true
}

// Station is where an address was seen last.
type Station[C comparable] struct {
	Addr    EtherAddr
	Client  C
	lastRef atomic.Int64

	home C // whom it was taken from, which has not been heard since; zero for nobody
}

// LastRef is the second of the last frame from or to the station, see Table.
func (s *Station[C]) LastRef() int64 { return s.lastRef.Load() }

// Stations is the learning table of a TAP server: the data plane learns the sender of each frame. It is safe for
// concurrent use; the zero value is empty and ready. The zero C is no client.
type Stations[C comparable] struct {
	mu  sync.RWMutex // guards both maps
	tab map[EtherAddr]*Station[C]
	n   map[C]int // stations of a client
}

// Learned is the outcome for a frame's sender.
type Learned uint8

// Results of Learn.
const (
	Known Learned = iota // it was there before
	Added
	Moved // from another client
	Full  // the client has as many stations as it may have: nothing was learned
)

// Learn notes in second now that frames from addr come from client, which may have limit stations. A station moves to the client that sent
// last.
func (s *Stations[C]) Learn(addr EtherAddr, client C, limit int, now int64) Learned {
	if s.Known(addr, client, now) {
		return Known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[client] >= limit {
		return Full
	}
	if s.tab == nil {
		s.tab, s.n = make(map[EtherAddr]*Station[C]), make(map[C]int)
	}
	result := Added
	e := &Station[C]{Addr: addr, Client: client}
	if was, ok := s.tab[addr]; ok {
		s.drop(was)
		result = Moved
		var nobody C
		switch was.home {
		case nobody:
			e.home = was.Client
		case client: // it is back
		default:
			e.home = was.home
		}
	}
	e.lastRef.Store(now)
	s.tab[addr] = e
	s.n[client]++
	return result
}

// Known reports whether addr is behind client already, and notes that it was heard.
func (s *Stations[C]) Known(addr EtherAddr, client C, now int64) bool {
	s.mu.RLock()
	e, ok := s.tab[addr]
	s.mu.RUnlock()
	if !ok || e.Client != client {
		return false
	}
	e.touch(now)
	return true
}

// Taken reports whether addr was behind client before others took it.
func (s *Stations[C]) Taken(addr EtherAddr, client C) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.tab[addr]
	return ok && e.home == client
}

// Lookup finds the client behind addr.
func (s *Stations[C]) Lookup(addr EtherAddr, now int64) (client C, ok bool) {
	s.mu.RLock()
	e, ok := s.tab[addr]
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

// Leave forgets a client: its stations, which are returned, and that others were taken from it.
func (s *Stations[C]) Leave(client C) []*Station[C] {
	gone := s.Forget(func(e *Station[C]) bool { return e.Client == client })
	s.mu.Lock()
	defer s.mu.Unlock()
	var nobody C
	for _, e := range s.tab {
		if e.home == client {
			e.home = nobody
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
	delete(s.tab, e.Addr)
	if s.n[e.Client]--; s.n[e.Client] == 0 {
		delete(s.n, e.Client)
	}
}

func (s *Station[C]) touch(now int64) {
	if s.lastRef.Load() != now {
		s.lastRef.Store(now)
	}
}
