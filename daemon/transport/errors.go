package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// ErrFrame says that a stream carried a frame length of 0 or above the limit; the stream cannot be used further.
var ErrFrame = errors.New("bad packet length on stream")

// FrameError is ErrFrame in the form the log wants.
type FrameError struct{ Length, Limit int } // bytes

// Error is stock's line.
func (e *FrameError) Error() string {
	return fmt.Sprintf("WARNING: Bad encapsulated packet length from peer (%d), which must be > 0 and <= %d -- please ensure that --tun-mtu or --link-mtu is equal on both peers -- this condition could also indicate a possible active attack on the TCP link -- [Attempting restart...]", e.Length, e.Limit)
}

// Unwrap gives ErrFrame.
func (e *FrameError) Unwrap() error { return ErrFrame }

// LogLost logs the end of a stream that Recv gave err for, in stock's lines: what was wrong with it, and the status, which
// is -1 when the call failed and 0 when the peer hung up or sent a bad length.
func LogLost(err error, log logging.Func) {
	var bad *FrameError
	var failed *SocketError
	switch {
	case errors.As(err, &bad):
		log(logging.Warn, "%s", bad.Error())
	case errors.As(err, &failed):
		log(logging.Error, "Connection reset, restarting [-1]")
		return
	}
	log(logging.Error, "Connection reset, restarting [0]")
}

// SocketError is a failed socket call in the form the log wants.
type SocketError struct {
	Op    string // "read", "write", "bind", "connect"
	Proto string // Link.Proto
	FD    int    // -1 when unknown
	Errno syscall.Errno
	Err   error // what the standard library said
}

// Error prints, for example, "read UDPv4 [ECONNREFUSED]: Connection refused (fd=4,code=111)".
func (e *SocketError) Error() string {
	if e.Errno == 0 {
		return fmt.Sprintf("%s %s []: %v", e.Op, e.Proto, e.Err)
	}
	ext := ""
	if e.Op == "read" {
		ext = errnoName(e.Errno) // the extended error queue names what came back for a sent packet
	}
	return fmt.Sprintf("%s %s [%s]: %s (fd=%d,code=%d)", e.Op, e.Proto, ext, ErrnoText(e.Errno), e.FD, int(e.Errno))
}

// Unwrap gives the standard library's error and the number.
func (e *SocketError) Unwrap() []error { return []error{e.Err, e.Errno} }

// ErrnoText is the C library's text of an error number, for example "Connection refused".
func ErrnoText(n syscall.Errno) string {
	s := n.Error()
	if s == "" {
		return fmt.Sprintf("Unknown error %d", int(n))
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Transient reports whether a receive or send loop goes on after err: errors that a network reports back for earlier
// packets of a datagram socket, or a full buffer. Errors of streams, closed links and deadlines are not transient.
func Transient(err error) bool {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return false
	}
	var e *SocketError
	if !errors.As(err, &e) || !strings.HasPrefix(e.Proto, "UDP") {
		return false
	}
	switch e.Errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.ENETDOWN, syscall.ENOBUFS, syscall.ENOMEM, syscall.EMSGSIZE, syscall.EPERM, syscall.EACCES, syscall.EAGAIN,
		syscall.EINTR, syscall.ENOPROTOOPT, syscall.EPROTO, syscall.EADDRNOTAVAIL, syscall.EINVAL, syscall.EIO:
		return true
	}
	return false
}

// BindError says that a socket could not be bound to its local address. Its text is the log's.
type BindError struct {
	Local netip.AddrPort
	Err   error
}

// Error prints, for example,
// "TCP/UDP: Socket bind failed on local address [AF_INET]10.99.0.1:1194: Address already in use (errno=98)".
func (e *BindError) Error() string {
	return fmt.Sprintf("TCP/UDP: Socket bind failed on local address %s: %s", AddrText(e.Local), errnoOr(e.Err, " (errno=%d)"))
}

// Unwrap gives the cause, also as a *SocketError.
func (e *BindError) Unwrap() []error { return causes("bind", e.Err) }

// ConnectError says that a TCP connection failed. Its text is the log's.
type ConnectError struct {
	Remote netip.AddrPort
	Err    error
}

// Error prints, for example, "TCP: connect to [AF_INET]10.99.0.1:1194 failed: Connection refused".
func (e *ConnectError) Error() string {
	return fmt.Sprintf("TCP: connect to %s failed: %s", AddrText(e.Remote), errnoOr(e.Err, ""))
}

// Unwrap gives the cause, also as a *SocketError unless it was the time that ran out.
func (e *ConnectError) Unwrap() []error { return causes("connect", e.Err) }

// causes adds the common form to a system call's error.
func causes(op string, err error) []error {
	e := &SocketError{Op: op, FD: -1, Err: err}
	if errors.As(err, &e.Errno) {
		return []error{err, e}
	}
	return []error{err}
}

// errnoOr is the C library's text of the number inside err, followed by the number in the given form, or err's own text.
func errnoOr(err error, form string) string {
	var n syscall.Errno
	switch {
	case errors.As(err, &n):
		s := ErrnoText(n)
		if form != "" {
			s += fmt.Sprintf(form, int(n))
		}
		return s
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return "Connection timed out"
	}
	return err.Error()
}

// socketError wraps an error of a read or write; closed links and deadlines keep their own errors.
func socketError(op, proto string, fd int, err error) error {
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	e := &SocketError{Op: op, Proto: proto, FD: fd, Err: err}
	errors.As(err, &e.Errno)
	return e
}
