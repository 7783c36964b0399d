package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

const (
	// maxSegments is the number that every kernel with UDP_SEGMENT takes in one send.
	maxSegments = 64
	// maxDatagram is the payload of the largest IPv4 datagram, which bounds a segmented send too.
	maxDatagram = 65507
)

// udpLink is the Link over a datagram socket.
type udpLink struct {
	conn      *net.UDPConn
	fd        int
	proto     string
	v6        bool           // family of the socket
	remote    netip.AddrPort // of a client
	connected bool
	multihome Multihome
	number    uint8 // Peer.Listener
	logf      logging.Func

	// segmentLimit is the longest packet worth a segmented send: 0 turns them off. A device that cannot do it at all clears it.
	segmentLimit atomic.Int32
	paths        pathLimits
	scratch      sync.Pool // *sendScratch
	stats        Stats
}

// sendScratch holds the buffers of one Send.
type sendScratch struct {
	oob  []byte
	slab []byte // datagrams copied together, made when first needed
}

// DialUDP opens a UDP client link. With SOCKS it first asks the proxy for an association; ctx bounds that.
func DialUDP(ctx context.Context, cfg DialConfig) (Link, error) {
	if cfg.SOCKS != nil {
		return dialSOCKSUDP(ctx, cfg)
	}
	return dialUDP(ctx, cfg)
}

func dialUDP(ctx context.Context, cfg DialConfig) (*udpLink, error) {
	network := "udp4"
	if cfg.Remote.Addr().Unmap().Is6() {
		network = "udp6"
	}
	local := cfg.Local
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(anyAddr(network), local.Port())
	}
	if cfg.Float {
		conn, err := listenPacket(ctx, network, local, &cfg.Socket)
		if err != nil {
			return nil, err
		}
		l, err := newUDPLink(conn, &cfg.Socket, MultihomeOff)
		if err != nil {
			return nil, err
		}
		l.remote = cfg.Remote
		return l, nil
	}
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(local),
		Control:   func(network, _ string, raw syscall.RawConn) error { return cfg.control(network, raw) },
	}
	c, err := d.DialContext(ctx, network, cfg.Remote.String())
	if err != nil {
		if isBind(err) {
			return nil, &BindError{Local: local, Err: err}
		}
		return nil, socketError("connect", udpProto(network == "udp6"), -1, err)
	}
	l, err := newUDPLink(c.(*net.UDPConn), &cfg.Socket, MultihomeOff)
	if err != nil {
		return nil, err
	}
	l.remote, l.connected = cfg.Remote, true
	return l, nil
}

// ListenUDP binds a UDP server link, which receives from and sends to many peers.
func ListenUDP(cfg ListenConfig) (Link, error) {
	network, local := listenAddr("udp", &cfg)
	conn, err := listenPacket(context.Background(), network, local, &cfg.Socket)
	if err != nil {
		return nil, err
	}
	l, err := newUDPLink(conn, &cfg.Socket, cfg.Multihome)
	if err != nil {
		return nil, err
	}
	l.number = cfg.Number
	return l, nil
}

// listenPacket binds an unconnected socket.
func listenPacket(ctx context.Context, network string, local netip.AddrPort, s *Socket) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error { return s.control(network, raw) }}
	c, err := lc.ListenPacket(ctx, network, local.String())
	if err != nil {
		return nil, &BindError{Local: local, Err: err}
	}
	return c.(*net.UDPConn), nil
}

// newUDPLink takes a socket over; it is closed on error.
func newUDPLink(conn *net.UDPConn, s *Socket, m Multihome) (*udpLink, error) {
	l := &udpLink{conn: conn, fd: -1, multihome: m, logf: s.logf}
	l.v6 = conn.LocalAddr().(*net.UDPAddr).IP.To4() == nil
	l.proto = udpProto(l.v6)
	l.scratch.New = func() any { return &sendScratch{oob: make([]byte, 0, 128)} }

	raw, err := conn.SyscallConn()
	if err == nil {
		var inner error
		err = raw.Control(func(fd uintptr) {
			l.fd = int(fd)
			if !s.plain() {
				if segment, _ := probeOffload(l.fd); segment {
					l.segmentLimit.Store(maxDatagram)
				}
			}
			if m != MultihomeOff {
				inner = setPacketInfo(l.fd, l.v6)
			}
		})
		err = errors.Join(err, inner)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

// Recv fills b with the next datagram, or with all datagrams that the kernel put together.
func (l *udpLink) Recv(b *Batch) error {
	for {
		buf := b.slab[Headroom:]
		n, oobn, _, addr, err := l.conn.ReadMsgUDPAddrPort(buf, b.oob)
		if err != nil {
			return socketError("read", l.proto, l.fd, err)
		}
		if n == 0 {
			continue // an empty datagram carries nothing
		}
		b.Peer = Peer{Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), Listener: l.number}
		segment := 0
		if oobn > 0 {
			segment = parseControl(b.oob[:oobn], &b.Peer)
			if l.multihome == MultihomeOff {
				b.Peer.Local, b.Peer.IfIndex = netip.Addr{}, 0
			}
		}
		b.split(buf[:n], segment)
		l.stats.RecvBytes.Add(uint64(n))
		l.stats.RecvPackets.Add(uint64(len(b.Packets)))
		return nil
	}
}

// split cuts what the kernel put together into its datagrams, all of the same size but the last.
func (b *Batch) split(buf []byte, segment int) {
	if segment <= 0 {
		segment = len(buf)
	}
	b.Packets = b.packets[:0]
	for len(buf) > 0 && len(b.Packets) < MaxPackets {
		n := min(segment, len(buf))
		b.Packets = append(b.Packets, buf[:n:n])
		buf = buf[n:]
	}
}

// Send sends runs of equal sized neighbours as one segmented datagram each, everything else singly.
func (l *udpLink) Send(p Peer, pkts [][]byte) error {
	addr := p.Addr
	switch {
	case l.connected:
		addr = netip.AddrPort{}
	case !addr.IsValid():
		addr = l.remote
	}
	if l.multihome != MultihomeSameInterface && !(p.Local.Is6() && p.Local.IsLinkLocalUnicast()) {
		p.IfIndex = 0 // the route decides
	}
	sc := l.scratch.Get().(*sendScratch)
	var first error
	for len(pkts) > 0 {
		n, whole := l.joined(pkts, addr.Addr(), sc)
		var err error
		if n > 1 {
			err = l.sendJoined(pkts[:n], whole, p, addr, sc)
		} else {
			err = l.sendOne(pkts[0], p, addr, sc)
		}
		if err != nil && first == nil {
			first = err
		}
		pkts = pkts[n:]
	}
	l.scratch.Put(sc)
	return first
}

// joined finds how many packets at the front fit one segmented send, and puts them together if they are not adjacent already.
func (l *udpLink) joined(pkts [][]byte, to netip.Addr, sc *sendScratch) (int, []byte) {
	size := len(pkts[0])
	if len(pkts) == 1 || size == 0 || size > int(l.segmentLimit.Load()) || size > l.paths.longest(to) {
		return 1, nil
	}
	total, n, adjacent := size, 1, true
	for ; n < len(pkts) && n < maxSegments; n++ {
		next := pkts[n]
		if len(next) == 0 || len(next) > size || total+len(next) > maxDatagram {
			break
		}
		if adjacent {
			adjacent = cap(pkts[0]) >= total+len(next) && &pkts[0][:total+1][total] == &next[0]
		}
		total += len(next)
		if len(next) < size {
			n++ // a shorter one may only be the last
			break
		}
	}
	switch {
	case n == 1:
		return 1, nil
	case adjacent:
		return n, pkts[0][:total]
	}
	if sc.slab == nil {
		sc.slab = make([]byte, 0, slabSize)
	}
	whole := sc.slab[:0]
	for _, p := range pkts[:n] {
		whole = append(whole, p...)
	}
	return n, whole
}

// sendJoined sends a run in one call, or one by one when the kernel or the device refuses.
func (l *udpLink) sendJoined(pkts [][]byte, whole []byte, p Peer, addr netip.AddrPort, sc *sendScratch) error {
	oob := appendControl(sc.oob[:0], len(pkts[0]), p, l.v6)
	_, _, err := l.conn.WriteMsgUDPAddrPort(whole, oob, addr)
	if err == nil {
		l.stats.SentBytes.Add(uint64(len(whole)))
		l.stats.SentPackets.Add(uint64(len(pkts)))
		return nil
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return socketError("write", l.proto, l.fd, err)
	}
	tooLong := false
	switch errno {
	case syscall.EIO, syscall.EOPNOTSUPP, syscall.ENOPROTOOPT:
		// The network card cannot checksum segments (known for some drivers): never again on this socket.
		if l.segmentLimit.Swap(0) != 0 {
			l.logf(logging.Info, "NOTE: the network device refuses UDP segmentation (%s), sending packets one at a time", ErrnoText(errno))
		}
	case syscall.EINVAL, syscall.EMSGSIZE:
		tooLong = true
	default:
		return socketError("write", l.proto, l.fd, err)
	}
	var first error
	for _, pkt := range pkts {
		if err := l.sendOne(pkt, p, addr, sc); err != nil && first == nil {
			first = err
		}
	}
	// A segment that does not fit the path MTU must be fragmented, which only single sends can. Where these fail too, the address is at
	// fault: a peer may write any port on its packets.
	if tooLong && first == nil && l.paths.refused(addr.Addr(), len(pkts[0])) {
		l.logf(logging.Detail, "UDP segmentation refused for packets of %d bytes, sending these one at a time", len(pkts[0]))
	}
	return first
}

// pathLimits are the longest packets worth a segmented send to addresses whose path took no longer ones. A peer shortens its own path only.
type pathLimits struct {
	known atomic.Int32 // addresses in longestTo
	told  atomic.Bool

	mu        sync.RWMutex // guards longestTo
	longestTo map[netip.Addr]int
}

// maxPaths bounds what is known about paths; beyond it all is learned anew.
const maxPaths = 1024

// longest is the longest packet worth a segmented send to an address.
func (p *pathLimits) longest(to netip.Addr) int {
	if p.known.Load() == 0 {
		return maxDatagram
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n, ok := p.longestTo[to]; ok {
		return n
	}
	return maxDatagram
}

// refused notes that packets of size do not fit the path to an address, and reports whether that is the first time on this socket.
func (p *pathLimits) refused(to netip.Addr, size int) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.longestTo == nil || len(p.longestTo) >= maxPaths {
		p.longestTo = make(map[netip.Addr]int)
	}
	p.longestTo[to] = size - 1
	p.known.Store(int32(len(p.longestTo)))
	return p.told.CompareAndSwap(false, true)
}

func (l *udpLink) sendOne(pkt []byte, p Peer, addr netip.AddrPort, sc *sendScratch) error {
	oob := appendControl(sc.oob[:0], 0, p, l.v6)
	if _, _, err := l.conn.WriteMsgUDPAddrPort(pkt, oob, addr); err != nil {
		return socketError("write", l.proto, l.fd, err)
	}
	l.stats.SentBytes.Add(uint64(len(pkt)))
	l.stats.SentPackets.Add(1)
	return nil
}

// Descriptor is the socket of a UDP link, 0 for other links. The link keeps it and closes it.
func Descriptor(l Link) int {
	if u, ok := l.(*udpLink); ok {
		return u.fd
	}
	return 0
}

func (l *udpLink) LocalAddr() netip.AddrPort  { return addrPort(l.conn.LocalAddr()) }
func (l *udpLink) RemoteAddr() netip.AddrPort { return l.remote }
func (l *udpLink) Proto() string              { return l.proto }
func (l *udpLink) Stats() *Stats              { return &l.stats }

func (l *udpLink) SetReadDeadline(t time.Time) error { return l.conn.SetReadDeadline(t) }

func (l *udpLink) Close() error {
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func udpProto(v6 bool) string {
	if v6 {
		return "UDPv6"
	}
	return "UDPv4"
}

// plain reports that offloads are not wanted.
func (s *Socket) plain() bool {
	return s.DisableOffload || os.Getenv("MOONGATE_DISABLE_OFFLOAD") != ""
}
