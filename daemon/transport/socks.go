package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// SOCKS5 numbers. Rule: RFC 1928, RFC 1929.
const (
	socksVersion   = 5
	socksNoAuth    = 0
	socksUserPass  = 2
	socksNone      = 0xff
	socksConnect   = 1
	socksAssociate = 3
	socksIPv4      = 1
	socksDomain    = 3
	socksIPv6      = 4
)

// ProxyError is a refusal of a proxy.
type ProxyError struct {
	Kind string // "HTTP" or "SOCKS"
	Text string
	Auth bool // the credentials were refused, or there are none: ask again
}

// Error tells the proxy's reason.
func (e *ProxyError) Error() string { return e.Kind + " proxy: " + e.Text }

func socksErrorf(format string, args ...any) error {
	return &ProxyError{Kind: "SOCKS", Text: fmt.Sprintf(format, args...)}
}

// socksReplies are the reply codes of RFC 1928, section 6.
var socksReplies = [...]string{
	"succeeded", "general server failure", "connection not allowed by ruleset", "network unreachable",
	"host unreachable", "connection refused", "TTL expired", "command not supported", "address type not supported",
}

// request runs the whole dialogue on a fresh connection and returns the address the proxy bound.
func (p *SOCKSProxy) request(c io.ReadWriter, command byte, host string, port uint16) (netip.AddrPort, error) {
	if err := p.authenticate(c); err != nil {
		return netip.AddrPort{}, err
	}
	msg := []byte{socksVersion, command, 0}
	if a, err := netip.ParseAddr(host); err == nil {
		msg = appendSOCKSAddr(msg, a)
	} else {
		if len(host) == 0 || len(host) > 255 {
			return netip.AddrPort{}, socksErrorf("host name of %d bytes", len(host))
		}
		msg = append(msg, socksDomain, byte(len(host)))
		msg = append(msg, host...)
	}
	msg = binary.BigEndian.AppendUint16(msg, port)
	if _, err := c.Write(msg); err != nil {
		return netip.AddrPort{}, fmt.Errorf("send to SOCKS proxy: %w", err)
	}
	var head [3]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read from SOCKS proxy: %w", err)
	}
	if head[0] != socksVersion {
		return netip.AddrPort{}, socksErrorf("answer is not SOCKS version 5")
	}
	if head[1] != 0 {
		text := fmt.Sprintf("reply code %d", head[1])
		if int(head[1]) < len(socksReplies) {
			text = socksReplies[head[1]]
		}
		return netip.AddrPort{}, socksErrorf("%s", text)
	}
	return readSOCKSAddr(c)
}

// authenticate offers what we have and does what the proxy chose.
func (p *SOCKSProxy) authenticate(c io.ReadWriter) error {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if p.Username != "" {
		if len(p.Username) > 255 || len(p.Password) > 255 {
			return socksErrorf("user name or password longer than 255 bytes")
		}
		hello = []byte{socksVersion, 2, socksNoAuth, socksUserPass}
	}
	if _, err := c.Write(hello); err != nil {
		return fmt.Errorf("send to SOCKS proxy: %w", err)
	}
	var answer [2]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("read from SOCKS proxy: %w", err)
	}
	switch {
	case answer[0] != socksVersion:
		return socksErrorf("answer is not SOCKS version 5")
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] == socksNone:
		return &ProxyError{Kind: "SOCKS", Text: "no acceptable authentication method", Auth: true}
	case answer[1] != socksUserPass || p.Username == "":
		return socksErrorf("proxy chose authentication method %d, which was not offered", answer[1])
	}
	msg := append([]byte{1, byte(len(p.Username))}, p.Username...)
	msg = append(append(msg, byte(len(p.Password))), p.Password...)
	if _, err := c.Write(msg); err != nil {
		return fmt.Errorf("send to SOCKS proxy: %w", err)
	}
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("read from SOCKS proxy: %w", err)
	}
	if answer[1] != 0 {
		return &ProxyError{Kind: "SOCKS", Text: "user name or password refused", Auth: true}
	}
	return nil
}

func appendSOCKSAddr(dst []byte, a netip.Addr) []byte {
	a = a.Unmap()
	if a.Is4() {
		dst = append(dst, socksIPv4)
	} else {
		dst = append(dst, socksIPv6)
	}
	return append(dst, a.AsSlice()...)
}

// readSOCKSAddr reads a bound address; a name instead of an address gives an address that is not valid.
func readSOCKSAddr(r io.Reader) (netip.AddrPort, error) {
	var buf [256 + 2]byte
	if _, err := io.ReadFull(r, buf[:1]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read from SOCKS proxy: %w", err)
	}
	var n int
	switch typ := buf[0]; typ {
	case socksIPv4:
		n = 4
	case socksIPv6:
		n = 16
	case socksDomain:
		if _, err := io.ReadFull(r, buf[:1]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("read from SOCKS proxy: %w", err)
		}
		n = int(buf[0])
	default:
		return netip.AddrPort{}, socksErrorf("address type %d", typ)
	}
	if _, err := io.ReadFull(r, buf[:n+2]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read from SOCKS proxy: %w", err)
	}
	a, _ := netip.AddrFromSlice(buf[:n]) // a name has other lengths, or is of no use either way
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(buf[n:])), nil
}

// withContext runs a dialogue on a connection until it ends or ctx does.
func withContext[T any](ctx context.Context, c net.Conn, f func() (T, error)) (T, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	v, err := f()
	if !stop() {
		return v, ctx.Err()
	}
	return v, errors.Join(err, c.SetDeadline(time.Time{}))
}
