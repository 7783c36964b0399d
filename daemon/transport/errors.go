package transport

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrFrame says that a stream carried a frame length of 0 or above the limit; the stream cannot be used further.
var ErrFrame = errors.New("bad packet length on stream")

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
		ext = unix.ErrnoName(e.Errno) // the extended error queue names what came back for a sent packet
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
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.ENOBUFS,
		unix.EMSGSIZE, unix.EPERM, unix.EACCES, unix.EAGAIN, unix.EINTR, unix.ENOPROTOOPT, unix.EPROTO, unix.EADDRNOTAVAIL, unix.EINVAL, unix.EIO, unix.ENOMEM:
		return true
	}
	return false
}
