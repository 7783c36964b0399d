package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// prefixLen is the length prefix of a frame: big endian, the packet's bytes without the prefix.
	//
	// Rule: docs/protocol.md#11-transport-encapsulation.
	prefixLen = 2
	// maxFrame is the longest packet a frame can carry.
	maxFrame = 65535
	// defaultQueueLimit is stock's tcp-queue-limit.
	defaultQueueLimit = 64
	// flushTime bounds how long Close waits for queued packets to leave.
	flushTime = 200 * time.Millisecond
)

// TCPLink is the Link over a stream. Besides Link it has Detach, for port-share.
type TCPLink struct {
	conn   *net.TCPConn
	fd     int
	proto  string
	stream Stream
	number uint8 // Peer.Listener
	stats  Stats

	// carry holds bytes read but not yet returned: an incomplete frame, or frames beyond a full batch. Recv owns it.
	carry []byte

	wake   chan struct{} // Send to writer: there is something, or the link is closed
	room   chan struct{} // writer to a waiting Send: the queue is empty again
	done   chan struct{} // closed by the writer at its end
	closed chan struct{} // closed by Close

	mu      sync.Mutex // guards what follows
	pending []byte     // frames waiting for the writer
	count   int        // packets in pending
	spare   []byte     // the writer's other buffer
	ended   bool       // no more Sends
	err     error      // of the writer
}

// newTCPLink takes a connection over; carry are bytes already read from it.
func newTCPLink(conn *net.TCPConn, proto string, s Stream, carry []byte) *TCPLink {
	if s.QueueLimit <= 0 {
		s.QueueLimit = defaultQueueLimit
	}
	if s.MaxFrame <= 0 || s.MaxFrame > maxFrame {
		s.MaxFrame = maxFrame
	}
	l := &TCPLink{
		conn: conn, fd: -1, proto: proto, stream: s, carry: carry,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}), closed: make(chan struct{}),
	}
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { l.fd = int(fd) })
	}
	go l.write()
	return l
}

// Recv returns all complete frames read, at least one. Errors: see Link.
func (l *TCPLink) Recv(b *Batch) error {
	buf := b.slab[Headroom:]
	n := copy(buf, l.carry)
	l.carry = l.carry[:0]
	for {
		used, err := b.frames(buf[:n], l.stream.MaxFrame)
		if len(b.Packets) > 0 || err != nil {
			l.carry = append(l.carry, buf[used:n]...)
		}
		if len(b.Packets) > 0 {
			// An error behind good frames comes up again with the next call.
			b.Peer = l.Peer()
			l.stats.RecvBytes.Add(uint64(used))
			l.stats.RecvPackets.Add(uint64(len(b.Packets)))
			return nil
		}
		if err != nil {
			return err
		}
		m, err := l.conn.Read(buf[n:])
		n += m
		if m == 0 && err != nil {
			l.carry = append(l.carry, buf[:n]...)
			return l.readError(err)
		}
	}
}

// Peer is the far end, as Recv tells it.
func (l *TCPLink) Peer() Peer { return Peer{Addr: l.RemoteAddr(), Listener: l.number} }

// Peek waits for the first n bytes of the stream and returns them; Recv will return them again. Errors are Recv's.
func (l *TCPLink) Peek(n int) ([]byte, error) {
	for len(l.carry) < n {
		b := make([]byte, n-len(l.carry))
		k, err := l.conn.Read(b)
		l.carry = append(l.carry, b[:k]...)
		if err != nil && len(l.carry) < n {
			return l.carry, l.readError(err)
		}
	}
	return l.carry[:n], nil
}

func (l *TCPLink) readError(err error) error {
	select {
	case <-l.closed:
		return net.ErrClosed // Close wakes us through the deadline
	default:
	}
	return streamError("read", l.proto, l.fd, err)
}

// frames finds the complete frames at the front of buf and returns how many bytes they take.
func (b *Batch) frames(buf []byte, limit int) (int, error) {
	b.Packets = b.packets[:0]
	used := 0
	for len(buf)-used >= prefixLen && len(b.Packets) < MaxPackets {
		n := int(binary.BigEndian.Uint16(buf[used:]))
		if n == 0 || n > limit {
			return used, &FrameError{Length: n, Limit: limit}
		}
		end := used + prefixLen + n
		if end > len(buf) {
			break
		}
		b.Packets = append(b.Packets, buf[used+prefixLen:end:end])
		used = end
	}
	return used, nil
}

// Send queues packets for the writer; empty ones and those too long for a frame are dropped. See Stream for a full queue. The error is
// net.ErrClosed after Close, else why the writer ended.
func (l *TCPLink) Send(_ Peer, pkts [][]byte) error {
	var timer *time.Timer
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range pkts {
		if len(p) == 0 || len(p) > maxFrame {
			l.stats.Dropped.Add(1)
			continue
		}
		for l.count >= l.stream.QueueLimit && l.stream.SendWait > 0 && !l.ended && l.err == nil {
			if timer == nil {
				timer = time.NewTimer(l.stream.SendWait)
				defer timer.Stop()
			}
			l.signal()
			if !l.waitRoom(timer.C) {
				break
			}
		}
		if l.ended {
			return net.ErrClosed
		}
		if l.err != nil {
			return l.err
		}
		if l.count >= l.stream.QueueLimit {
			l.stats.Dropped.Add(uint64(len(pkts) - i))
			break
		}
		l.pending = binary.BigEndian.AppendUint16(l.pending, uint16(len(p)))
		l.pending = append(l.pending, p...)
		l.count++
	}
	if l.ended {
		return net.ErrClosed
	}
	if l.count > 0 {
		l.signal()
	}
	return l.err
}

func (l *TCPLink) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// waitRoom releases the lock until the writer has taken the queue, or the time is over.
func (l *TCPLink) waitRoom(timeout <-chan time.Time) bool {
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-l.room:
		// Others may wait as well: the writer's next round wakes one more.
		return true
	case <-l.done:
		return true
	case <-timeout:
		return false
	}
}

// write is the link's writer: everything queued leaves in one call.
func (l *TCPLink) write() {
	defer close(l.done)
	for {
		<-l.wake
		l.mu.Lock()
		buf, n := l.pending, l.count
		l.pending, l.count = l.spare[:0], 0
		ended := l.ended
		l.mu.Unlock()
		select {
		case l.room <- struct{}{}:
		default:
		}
		if len(buf) > 0 {
			if _, err := l.conn.Write(buf); err != nil {
				l.mu.Lock()
				l.err = streamError("write", l.proto, l.fd, err)
				l.mu.Unlock()
				return
			}
			l.stats.SentBytes.Add(uint64(len(buf)))
			l.stats.SentPackets.Add(uint64(n))
		}
		l.spare = buf // only the writer touches it, under no lock: Send never does
		if ended {
			return
		}
	}
}

// Detach ends framing and gives the connection away, with the bytes read but not returned by Recv. It is for a Peek at
// another protocol, or a first Recv that failed with ErrFrame, before any Send: then these are all bytes the client sent.
func (l *TCPLink) Detach() (net.Conn, []byte) {
	l.stop()
	<-l.done
	return l.conn, l.carry
}

// stop makes the writer finish what is queued and end. It reports whether it was the first to do so.
func (l *TCPLink) stop() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.ended = true
	l.signal()
	return true
}

// LocalAddr is the address of this end.
func (l *TCPLink) LocalAddr() netip.AddrPort { return addrPort(l.conn.LocalAddr()) }

// RemoteAddr is the address of the other end; through a proxy, the proxy's.
func (l *TCPLink) RemoteAddr() netip.AddrPort { return addrPort(l.conn.RemoteAddr()) }

// Proto is TCPv4_CLIENT, TCPv4_SERVER, TCPv6_CLIENT or TCPv6_SERVER.
func (l *TCPLink) Proto() string { return l.proto }

// Stats are the link's counters.
func (l *TCPLink) Stats() *Stats { return &l.stats }

// SetReadDeadline bounds Recv.
func (l *TCPLink) SetReadDeadline(t time.Time) error { return l.conn.SetReadDeadline(t) }

// Close sends what is queued, for at most 200 ms, and closes the connection.
func (l *TCPLink) Close() error {
	_ = l.conn.SetWriteDeadline(time.Now().Add(flushTime))
	if !l.stop() {
		<-l.done
		return nil
	}
	close(l.closed)
	_ = l.conn.SetReadDeadline(time.Unix(1, 0)) // wakes Recv
	<-l.done
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func tcpProto(a netip.Addr, role string) string {
	if a.Unmap().Is6() {
		return "TCPv6_" + role
	}
	return "TCPv4_" + role
}
