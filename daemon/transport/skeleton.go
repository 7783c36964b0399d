package transport

import (
	"context"
	"errors"
	"net/netip"
)

// DialUDP opens a UDP client link. With SOCKS it first asks the proxy for an association; ctx bounds that.
func DialUDP(ctx context.Context, cfg DialConfig) (Link, error) { return nil, errors.ErrUnsupported }

// DialTCP opens a TCP client link; ctx bounds connect and proxy dialogue.
func DialTCP(ctx context.Context, cfg DialConfig) (Link, error) { return nil, errors.ErrUnsupported }

// ListenUDP binds a UDP server link, which receives from and sends to many peers.
func ListenUDP(cfg ListenConfig) (Link, error) { return nil, errors.ErrUnsupported }

// ListenTCP binds a TCP server.
func ListenTCP(cfg ListenConfig) (*Listener, error) { return nil, errors.ErrUnsupported }

// Listener accepts TCP links.
type Listener struct{}

// Accept waits for the next client; net.ErrClosed after Close.
func (l *Listener) Accept() (*TCPLink, error) { return nil, errors.ErrUnsupported }

// Addr is the bound address.
func (l *Listener) Addr() netip.AddrPort { return netip.AddrPort{} }

// Close stops accepting; accepted links live on.
func (l *Listener) Close() error { return nil }

// TCPLink is the Link over a stream. Besides Link it has Detach, for port-share.
type TCPLink struct{ Link }

// Resolve looks one host name up and returns its addresses of the family in the resolver's order.
// A literal address is returned as it is. An empty result is an error.
func Resolve(ctx context.Context, host string, family Family) ([]netip.Addr, error) {
	return nil, errors.ErrUnsupported
}
