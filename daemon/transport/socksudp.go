package transport

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// socksUDP is a UDP link through a SOCKS5 proxy. Every datagram carries a header:
//
//	u16 reserved | u8 fragment | u8 address type | address | u16 port
//
// 10 bytes for IPv4, 22 for IPv6. The association lives as long as its TCP connection: when the proxy closes that, the
// link is closed.
//
// Rule: RFC 1928, section 7.
type socksUDP struct {
	*udpLink
	control *net.TCPConn
	header  []byte
	target  netip.AddrPort
	frames  sync.Pool // *frameScratch
	watch   sync.WaitGroup
}

type frameScratch struct {
	slab []byte
	pkts [][]byte
}

func dialSOCKSUDP(ctx context.Context, cfg DialConfig) (Link, error) {
	target, err := netip.ParseAddr(cfg.TargetHost)
	if err != nil {
		// A datagram header takes a name as well, but answers come with an address: one form for both keeps them comparable.
		addrs, err := Resolve(ctx, cfg.TargetHost, FamilyAny)
		if err != nil {
			return nil, err
		}
		target = addrs[0]
	}
	stream := cfg
	stream.Local = netip.AddrPort{}
	anywhere := netip.IPv4Unspecified()
	if target.Is6() {
		anywhere = netip.IPv6Unspecified()
	}
	control, relay, err := dialSOCKS(ctx, &stream, socksAssociate, anywhere.String(), 0)
	if err != nil {
		return nil, err
	}
	if !relay.Addr().IsValid() || relay.Addr().IsUnspecified() {
		relay = netip.AddrPortFrom(cfg.Remote.Addr(), relay.Port()) // the proxy means itself
	}
	cfg.logf(logging.Info, "SOCKS proxy wants us to send UDP to %s", AddrText(relay))
	cfg.Remote, cfg.Float = relay, false
	u, err := dialUDP(ctx, cfg)
	if err != nil {
		_ = control.Close()
		return nil, err
	}
	l := &socksUDP{udpLink: u, control: control, target: netip.AddrPortFrom(target, cfg.TargetPort)}
	l.header = binary.BigEndian.AppendUint16(appendSOCKSAddr([]byte{0, 0, 0}, target), cfg.TargetPort)
	l.frames.New = func() any { return &frameScratch{slab: make([]byte, 0, slabSize)} }
	l.watch.Go(func() {
		_, _ = io.Copy(io.Discard, control) // ends with the association
		_ = u.Close()
	})
	return l, nil
}

// Recv strips the headers and drops datagrams that are not from the server.
func (l *socksUDP) Recv(b *Batch) error {
	for {
		if err := l.udpLink.Recv(b); err != nil {
			return err
		}
		out := b.Packets[:0]
		for _, p := range b.Packets {
			if from, body, ok := parseSOCKSDatagram(p); ok && from == l.target {
				out = append(out, body)
			}
		}
		b.Packets, b.Peer = out, Peer{Addr: l.target}
		if len(out) > 0 {
			return nil
		}
	}
}

// parseSOCKSDatagram splits a datagram from the proxy. ok is false for short ones, fragments and names.
func parseSOCKSDatagram(p []byte) (from netip.AddrPort, body []byte, ok bool) {
	if len(p) < 4 || p[2] != 0 {
		return from, nil, false
	}
	n := 0
	switch p[3] {
	case socksIPv4:
		n = 4
	case socksIPv6:
		n = 16
	default:
		return from, nil, false
	}
	if len(p) < 4+n+2+1 {
		return from, nil, false
	}
	a, _ := netip.AddrFromSlice(p[4 : 4+n])
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(p[4+n:])), p[4+n+2:], true
}

// Send puts the header in front of each packet.
func (l *socksUDP) Send(_ Peer, pkts [][]byte) error {
	sc := l.frames.Get().(*frameScratch)
	defer l.frames.Put(sc)
	slab, out := sc.slab[:0], sc.pkts[:0]
	var first error
	flush := func() {
		if len(out) > 0 {
			if err := l.udpLink.Send(Peer{}, out); err != nil && first == nil {
				first = err
			}
		}
		slab, out = sc.slab[:0], out[:0]
	}
	for _, p := range pkts {
		if len(slab)+len(l.header)+len(p) > cap(slab) {
			flush()
			if len(l.header)+len(p) > cap(slab) {
				continue
			}
		}
		at := len(slab)
		slab = append(append(slab, l.header...), p...)
		out = append(out, slab[at:len(slab):cap(slab)])
	}
	flush()
	sc.pkts = out
	return first
}

// RemoteAddr is the server's address, not the proxy's.
func (l *socksUDP) RemoteAddr() netip.AddrPort { return l.target }

// Close ends the association.
func (l *socksUDP) Close() error {
	err := l.udpLink.Close()
	_ = l.control.Close()
	l.watch.Wait()
	return err
}
