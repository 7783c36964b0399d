package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
)

// DialTCP opens a TCP client link; ctx bounds connect and proxy dialogue.
func DialTCP(ctx context.Context, cfg DialConfig) (Link, error) {
	conn, carry, err := dialStream(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	if err := conn.SetNoDelay(true); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return newTCPLink(conn, tcpProto(cfg.Remote.Addr(), "CLIENT"), cfg.Stream, carry), nil
}

// dialStream connects to the server, through the proxy if there is one. The bytes are the server's, read together with
// the end of the proxy's answer.
func dialStream(ctx context.Context, cfg *DialConfig) (*net.TCPConn, []byte, error) {
	switch {
	case cfg.HTTP != nil:
		return dialHTTP(ctx, cfg)
	case cfg.SOCKS != nil:
		conn, _, err := dialSOCKS(ctx, cfg, socksConnect, cfg.TargetHost, cfg.TargetPort)
		return conn, nil, err
	}
	conn, err := dialConn(ctx, cfg)
	return conn, nil, err
}

// dialConn makes one TCP connection to cfg.Remote.
func dialConn(ctx context.Context, cfg *DialConfig) (*net.TCPConn, error) {
	network := "tcp4"
	if cfg.Remote.Addr().Unmap().Is6() {
		network = "tcp6"
	}
	d := net.Dialer{
		Timeout:   cfg.Timeout,
		KeepAlive: -1, // the tunnel has its own
		Control:   func(network, _ string, raw syscall.RawConn) error { return cfg.control(network, raw) },
	}
	local := cfg.Local
	if local.Addr().IsValid() || local.Port() != 0 {
		if !local.Addr().IsValid() {
			local = netip.AddrPortFrom(anyAddr(network), local.Port())
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	d.SetMultipathTCP(false)
	if cfg.Connecting != nil {
		cfg.Connecting()
	}
	c, err := d.DialContext(ctx, network, cfg.Remote.String())
	switch {
	case err == nil:
		if cfg.Connected != nil {
			cfg.Connected()
		}
		return c.(*net.TCPConn), nil
	case isBind(err):
		return nil, &BindError{Local: local, Err: err}
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	}
	return nil, &ConnectError{Remote: cfg.Remote, Err: err}
}

// Listener accepts TCP links.
type Listener struct {
	l      *net.TCPListener
	stream Stream
	number uint8
}

// ListenTCP binds a TCP server.
func ListenTCP(cfg ListenConfig) (*Listener, error) {
	network, local := listenAddr("tcp", &cfg)
	lc := net.ListenConfig{
		KeepAlive: -1,
		Control:   func(network, _ string, raw syscall.RawConn) error { return cfg.control(network, raw) },
	}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), network, local.String())
	if err != nil {
		return nil, &BindError{Local: local, Err: err}
	}
	return &Listener{l: l.(*net.TCPListener), stream: cfg.Stream, number: cfg.Number}, nil
}

// Accept waits for the next client; net.ErrClosed after Close. Other errors (too many open files) are not the listener's
// end: the caller pauses and goes on.
func (l *Listener) Accept() (*TCPLink, error) {
	conn, err := l.l.AcceptTCP()
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			return nil, net.ErrClosed
		}
		return nil, err
	}
	_ = conn.SetNoDelay(true) // fails only on a connection that is gone: Recv tells
	link := newTCPLink(conn, tcpProto(addrPort(conn.LocalAddr()).Addr(), "SERVER"), l.stream, nil)
	link.number = l.number
	return link, nil
}

// Addr is the bound address.
func (l *Listener) Addr() netip.AddrPort { return addrPort(l.l.Addr()) }

// Close stops accepting; accepted links live on.
func (l *Listener) Close() error {
	if err := l.l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// streamError is socketError with the end of the stream kept as io.EOF.
func streamError(op, proto string, fd int, err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return socketError(op, proto, fd, err)
}
