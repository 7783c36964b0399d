package control

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/tls"
)

// maxPending is how many bytes of the peer may wait for TLS. The longest handshake flight is shorter.
const maxPending = 64 << 10

// stream is one TLS connection over memory. The handshake runs in a goroutine and blocks in pipe.Read;
// afterwards everything is done by the owner, and reads return errNoData instead of blocking.
type stream struct {
	pipe pipe
	conn *tls.Conn // the handshake goroutine's until finished, the owner's afterwards
	wg   sync.WaitGroup
}

// pipe is the net.Conn below a TLS connection.
type pipe struct {
	mu   sync.Mutex
	cond sync.Cond
	wake func() // constant

	// All guarded by mu.
	in       []byte // from the peer, not yet read
	out      []byte // for the peer, not yet taken
	finished bool   // the handshake is over, with err
	err      error
	closed   bool
	waiting  bool // the handshake has nothing to read
}

// startTLS begins a handshake.
func startTLS(cfg *tls.Config, server bool, wake func()) *stream {
	s := &stream{}
	s.pipe.wake = wake
	s.pipe.cond.L = &s.pipe.mu
	if server {
		s.conn = tls.Server(&s.pipe, cfg)
	} else {
		s.conn = tls.Client(&s.pipe, cfg)
	}
	s.wg.Go(func() { s.pipe.finish(handshake(s.conn)) })
	return s
}

// handshake returns a panic in TLS, or in a hook of it, as an error: it is about one peer, and no other is to suffer.
func handshake(c *tls.Conn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = NewPanic(v)
		}
	}()
	return c.Handshake()
}

// feed hands over bytes of the peer. It does not keep b.
func (s *stream) feed(b []byte) {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.in = append(p.in, b...)
		p.cond.Signal()
	}
}

// full tells that TLS has enough to read. Messages then stay in the receive window, which stops the peer:
// a peer that is not authenticated cannot make us store more while a handshake waits for a hook.
func (s *stream) full() bool {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.in) >= maxPending
}

// take returns what is to be sent to the peer, and forgets it.
func (s *stream) take() []byte {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	p.out = nil
	return out
}

// state tells whether the handshake is over and how, and whether it is computing just now.
func (s *stream) state() (finished, computing bool, err error) {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished, !p.finished && (!p.waiting || len(p.in) > 0), p.err
}

// finished tells whether the handshake is over.
func (s *stream) finished() bool {
	over, _, _ := s.state()
	return over
}

// read returns the next record's plaintext, or errNoData. Only after the handshake.
func (s *stream) read(b []byte) (int, error) { return s.conn.Read(b) }

// write sends b as one record. Only after the handshake. b must not be longer than a record.
func (s *stream) write(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

// abort ends a running handshake without waiting for it.
func (s *stream) abort() {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.in = nil
	p.cond.Signal()
}

// close ends a running handshake and waits for its goroutine.
func (s *stream) close() {
	s.abort()
	s.wg.Wait()
}

func (p *pipe) finish(err error) {
	p.mu.Lock()
	p.finished, p.err = true, err
	p.mu.Unlock()
	p.wake()
}

// errNoData is a passing condition to crypto/tls: a net.Error that is Temporary does not break
// the connection, and a record read in part is completed by the next call. (crypto/tls of Go 1.26,
// Conn.readRecordOrCCS; a deadline behaves the same way by documentation.)
var errNoData net.Error = noData{}

type noData struct{}

func (noData) Error() string   { return "no data yet" }
func (noData) Timeout() bool   { return true }
func (noData) Temporary() bool { return true }

func isNoData(err error) bool {
	return errors.Is(err, errNoData) || errors.Is(err, os.ErrDeadlineExceeded)
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.in) == 0 {
		switch {
		case p.closed:
			return 0, net.ErrClosed
		case p.finished:
			return 0, errNoData
		}
		p.waiting = true
		p.wake() // our flight is complete: nothing more comes until the peer answers
		p.cond.Wait()
		p.waiting = false
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	if len(p.in) == 0 {
		p.in = nil // nothing is kept between messages
	}
	return n, nil
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, net.ErrClosed
	}
	p.out = append(p.out, b...)
	return len(b), nil
}

// Close is called by crypto/tls only; the pipe has no other end to tell.
func (p *pipe) Close() error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "openvpn" }
func (noAddr) String() string  { return "control channel" }

func (*pipe) LocalAddr() net.Addr              { return noAddr{} }
func (*pipe) RemoteAddr() net.Addr             { return noAddr{} }
func (*pipe) SetDeadline(time.Time) error      { return nil }
func (*pipe) SetReadDeadline(time.Time) error  { return nil }
func (*pipe) SetWriteDeadline(time.Time) error { return nil }
