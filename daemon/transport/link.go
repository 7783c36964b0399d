package transport

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Sizes of a Batch.
const (
	// MaxPackets is the most packets one Recv returns.
	MaxPackets = 128
	// Headroom is the number of writable bytes in front of the first packet of a batch.
	Headroom = 16
	// slabSize holds the largest datagram the kernel hands over, receive offload included, and the largest frame
	// with its length prefix.
	slabSize = 64<<10 + 16
)

// Peer is the far end of a packet: its address and, on a multihomed server, the local address and interface the
// packet came in on, so that the answer leaves the same way. It is comparable and may be a map key.
// Addresses are never IPv4-mapped.
type Peer struct {
	Addr    netip.AddrPort
	Local   netip.Addr // valid on a multihomed socket only
	IfIndex int        // 0 unless multihomed; answers leave there under MultihomeSameInterface, and to link-local addresses
	// Listener is ListenConfig.Number of the socket the packet came in on: an address may reach several sockets of a server.
	Listener uint8

	// TOS is the type of service of packets sent to the peer, 0 for the socket's own. Recv leaves it alone.
	TOS uint8
}

// Batch is the receive side of a link. It is reused from call to call; one goroutine owns it.
type Batch struct {
	Peer    Peer
	Packets [][]byte // 1 to MaxPackets packets, slices of the slab, capacity clipped

	slab    []byte
	oob     []byte
	packets [MaxPackets][]byte
}

// NewBatch allocates a batch with its slab (64 KB).
func NewBatch() *Batch {
	return &Batch{slab: make([]byte, Headroom+slabSize), oob: make([]byte, 256)}
}

// Link moves batches of packets between this host and one peer (TCP, UDP client) or many (UDP server).
type Link interface {
	// Recv blocks until packets arrive and fills b. Errors: net.ErrClosed after Close, os.ErrDeadlineExceeded,
	// io.EOF when a stream peer hung up, ErrFrame for a broken stream, else *SocketError (see Transient).
	Recv(b *Batch) error
	// Send passes packets to one peer; links with a single peer ignore p. The slices are not kept. A full queue of
	// a TCP link drops packets and counts them in Stats; it is not an error.
	Send(p Peer, pkts [][]byte) error
	// LocalAddr is the bound address, RemoteAddr the peer's (zero for a UDP server).
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
	// Proto is the log's name of the transport: UDPv4, UDPv6, TCPv4_CLIENT, TCPv4_SERVER, TCPv6_CLIENT, TCPv6_SERVER.
	Proto() string
	// Stats are live counters of this link.
	Stats() *Stats
	// SetReadDeadline bounds a blocked or later Recv; the zero time removes it.
	SetReadDeadline(t time.Time) error
	// Close ends the link and wakes Recv. It is idempotent.
	Close() error
}

// Stats counts a link's traffic: bytes as UDP payload or TCP frames with their length prefix.
type Stats struct {
	RecvBytes, SentBytes     atomic.Uint64
	RecvPackets, SentPackets atomic.Uint64
	Dropped                  atomic.Uint64 // packets a full TCP queue refused
}
