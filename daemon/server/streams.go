package server

import (
	"container/list"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// streams are the TCP connections of clients and of those that may become clients. Connections that port-share hands on
// have a budget of their own, see share.
type streams struct {
	limits streamLimits

	mu      sync.Mutex // guards what follows
	open    map[transport.Link]*stream
	waiting map[netip.Prefix]*list.List // of *stream, the oldest first: those without an instance, by network
	next    uint64
	held    int  // by instances
	over    bool // no more come in
}

// stream is one connection.
type stream struct {
	link    transport.Link
	number  uint64 // in the order of arrival
	network netip.Prefix
	place   *list.Element // in waiting; nil once it has an instance, which has limits and deadlines of its own
}

// newStreams makes an empty set, with room for what a server of maxClients needs. shares is whether there is port-share.
func newStreams(maxClients int, shares bool) *streams {
	return &streams{limits: limitStreams(maxClients, descriptors(), shares), open: make(map[transport.Link]*stream), waiting: make(map[netip.Prefix]*list.List)}
}

// add enters a connection and reports whether there is room. When all places are taken, one that waits for its first packet makes
// room, which comes at once from a client: the oldest of the network that holds the most of these.
func (s *streams) add(l transport.Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if len(s.open) >= s.limits.own {
		oldest := s.oldestWaiting()
		if oldest == nil {
			return false
		}
		s.drop(oldest)
		go func() { _ = oldest.link.Close() }() // waits for what is queued
	}
	s.next++
	st := &stream{link: l, number: s.next, network: ratelimit.Prefix(l.RemoteAddr().Addr())}
	if s.waiting[st.network] == nil {
		s.waiting[st.network] = list.New()
	}
	st.place = s.waiting[st.network].PushBack(st)
	s.open[l] = st
	return true
}

// oldestWaiting is the connection that has waited longest for its first packet, of the network with the most that wait; nil when all have
// an instance.
func (s *streams) oldestWaiting() (oldest *stream) {
	most := 0
	for _, q := range s.waiting {
		first := q.Front().Value.(*stream)
		if q.Len() > most || q.Len() == most && first.number < oldest.number {
			oldest, most = first, q.Len()
		}
	}
	return oldest
}

// enter notes that a connection has an instance.
func (s *streams) enter(l transport.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[l]; st != nil && st.place != nil {
		s.unwait(st)
		s.held++
	}
}

// unwait takes a connection out of those that wait for their first packet.
func (s *streams) unwait(st *stream) {
	q := s.waiting[st.network]
	q.Remove(st.place)
	st.place = nil
	if q.Len() == 0 {
		delete(s.waiting, st.network)
	}
}

func (s *streams) drop(st *stream) {
	if st.place != nil {
		s.unwait(st)
	} else {
		s.held--
	}
	delete(s.open, st.link)
}

// scarce reports whether instances hold so many places that newcomers find none to send their first packet from.
func (s *streams) scarce() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held >= s.limits.own-min(spareStreams, s.limits.own/8)
}

func (s *streams) remove(l transport.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[l]; st != nil {
		s.drop(st)
	}
}

// close closes all connections at once: each waits for a peer that does not read. No more come in: one that was accepted
// just now would keep the server until its first packet is due.
func (s *streams) close() {
	s.mu.Lock()
	s.over = true
	links := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, l := range links {
		closing.Go(func() { _ = l.Close() })
	}
	closing.Wait()
}

// streamLimits are how many connections there may be at once.
type streamLimits struct {
	own    int // of clients, and without a first packet yet
	shared int // handed on by port-share
}

const (
	// spareStreams are connections beyond twice max-clients.
	spareStreams = 64
	// maxShared bounds the connections that port-share hands on.
	maxShared = 1024
	// ownDescriptors are for all but TCP connections: device, sockets, files, pipes of scripts.
	ownDescriptors = 128
	// sharedDescriptors is how many a connection takes that is handed on.
	sharedDescriptors = 2
)

// limitStreams divides the descriptors of the process: with port-share at least a quarter of what there is for connections stays for
// those that it hands on, as far as they may use it.
func limitStreams(maxClients int, descriptors uint64, shares bool) streamLimits {
	left := max(int(min(descriptors, math.MaxInt32))-ownDescriptors, 16) //nolint:gosec // bounded
	shared := 0
	if shares {
		shared = min(maxShared, left/4/sharedDescriptors)
	}
	return streamLimits{own: min(2*maxClients+spareStreams, left-shared*sharedDescriptors), shared: shared}
}

// descriptors is how many files this process may have open. The runtime raises the soft limit to the hard one at start and
// gives programs that are run the limit of before.
func descriptors() uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return uint64(r.Cur) //nolint:unconvert,gosec // int64 on FreeBSD, and never negative
}
