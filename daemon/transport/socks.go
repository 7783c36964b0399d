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

// Error is the log's line.
func (e *ProxyError) Error() string { return e.Text }

func socksErrorf(auth bool, format string, args ...any) error {
	return &ProxyError{Kind: "SOCKS", Text: fmt.Sprintf(format, args...), Auth: auth}
}

// dialSOCKS connects to the proxy, runs the dialogue and returns the address the proxy bound.
func dialSOCKS(ctx context.Context, cfg *DialConfig, command byte, host string, port uint16) (*net.TCPConn, netip.AddrPort, error) {
	conn, err := dialConn(ctx, cfg)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	p := *cfg.SOCKS
	ask := func() error {
		_ = conn.SetDeadline(time.Time{})
		var err error
		if p.Username, p.Password, err = p.Credentials(ctx); err != nil {
			return err
		}
		_ = conn.SetDeadline(cfg.deadline())
		return ctx.Err() // its end may have met the deadline that was just replaced
	}
	bound, err := withContext(ctx, conn, func() (netip.AddrPort, error) {
		_ = conn.SetDeadline(cfg.deadline()) // fails only on a connection that is gone: what follows tells
		return p.request(conn, ask, command, host, port)
	})
	if err != nil {
		_ = conn.Close()
		return nil, netip.AddrPort{}, err
	}
	return conn, bound, nil
}

// deadline is when an exchange that starts now has to be over, the zero time for never.
func (c *DialConfig) deadline() time.Time {
	if c.Timeout <= 0 {
		return time.Time{}
	}
	return time.Now().Add(c.Timeout)
}

// socksReplies are the reply codes of RFC 1928, section 6.
var socksReplies = [...]string{
	"succeeded", "general server failure", "connection not allowed by ruleset", "network unreachable",
	"host unreachable", "connection refused", "TTL expired", "command not supported", "address type not supported",
}

// request runs the whole dialogue on a fresh connection and returns the address the proxy bound. ask fills in the
// credentials when there are none and Credentials may be asked.
func (p *SOCKSProxy) request(c io.ReadWriter, ask func() error, command byte, host string, port uint16) (netip.AddrPort, error) {
	if err := p.authenticate(c, ask); err != nil {
		return netip.AddrPort{}, err
	}
	msg := []byte{socksVersion, command, 0}
	if a, err := netip.ParseAddr(host); err == nil {
		msg = appendSOCKSAddr(msg, a)
	} else {
		if len(host) == 0 || len(host) > 255 {
			return netip.AddrPort{}, socksErrorf(false, "SOCKS proxy: host name of %d bytes", len(host))
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
		return netip.AddrPort{}, socksErrorf(false, "recv_socks_reply: Socks proxy returned bad reply (not SOCKS version 5)")
	}
	if head[1] != 0 {
		text := fmt.Sprintf("reply code %d", head[1])
		if int(head[1]) < len(socksReplies) {
			text = socksReplies[head[1]]
		}
		return netip.AddrPort{}, socksErrorf(false, "recv_socks_reply: Socks proxy returned bad reply (%s)", text)
	}
	return readSOCKSAddr(c)
}

// authenticate offers what we have or can ask for, and does what the proxy chose.
func (p *SOCKSProxy) authenticate(c io.ReadWriter, ask func() error) error {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if p.Username != "" || p.Credentials != nil {
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
		return socksErrorf(false, "socks_handshake: Socks proxy returned bad status (not SOCKS version 5)")
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] != socksUserPass || len(hello) == 3:
		return socksErrorf(answer[1] == socksNone, "socks_handshake: Socks proxy returned unexpected auth (%d)", answer[1])
	}
	if p.Username == "" {
		if err := ask(); err != nil {
			return err
		}
	}
	if len(p.Username) > 255 || len(p.Password) > 255 {
		return socksErrorf(true, "SOCKS username and/or password exceeds 255 characters.  Authentication not possible.")
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
		return socksErrorf(true, "socks_username_password_auth: server refused the authentication")
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
		return netip.AddrPort{}, socksErrorf(false, "recv_socks_reply: Socks proxy returned bad address type (%d)", typ)
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
