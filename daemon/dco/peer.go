package dco

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/mdlayher/netlink"
)

// MaxPeerID is the largest peer-id; the kernel refuses a larger one.
const MaxPeerID = 1<<24 - 1

// Errors of this package's encoders and parsers; they wrap no message bytes.
var (
	ErrValue   = errors.New("dco: value out of range")
	ErrMessage = errors.New("dco: malformed message")
)

// Peer is one peer of an interface. In a request only what is set is told; the counters and DelReason are the kernel's.
type Peer struct {
	ID     uint32         // at most MaxPeerID
	Remote netip.AddrPort // where its packets come from; a zone is told as its number
	Local  netip.AddrPort // our address towards it, UDP only; a port of 0 is not told
	Socket uint32         // descriptor of the UDP or TCP socket; 0 is not told

	VPN4, VPN6 netip.Addr // its addresses in the tunnel

	Keepalive Keepalive
	DelReason DelReason // of PeerDelNtf

	VPN  Traffic // payload
	Link Traffic // on the socket
}

// Keepalive is a peer's ping and ping-restart, in whole seconds. Set says that both are told, 0 turns one off.
type Keepalive struct {
	Set               bool
	Interval, Timeout time.Duration
}

// Traffic counts what the kernel moved for a peer.
type Traffic struct{ RxBytes, TxBytes, RxPackets, TxPackets uint64 }

// DelReason is why the kernel removed a peer.
type DelReason uint32

// Reasons, numbered as in the kernel's specification.
const (
	DelTeardown            DelReason = iota // the interface goes away
	DelUserspace                            // we asked for it
	DelExpired                              // nothing was heard for the keepalive timeout
	DelTransportError                       // the socket failed
	DelTransportDisconnect                  // the stream is closed
)

var delReasons = [...]string{"teardown", "userspace", "expired", "transport-error", "transport-disconnect"}

// String is the reason's name in the kernel's specification.
func (r DelReason) String() string {
	if int(r) < len(delReasons) {
		return delReasons[r]
	}
	return "unknown"
}

// encode writes the attributes of p in the order of their numbers.
func (p *Peer) encode(e *netlink.AttributeEncoder) error {
	if p.ID > MaxPeerID {
		return fmt.Errorf("peer-id %d: %w", p.ID, ErrValue)
	}
	e.Uint32(peerID, p.ID)
	if a := p.Remote.Addr(); a.IsValid() {
		if p.Remote.Port() == 0 {
			return fmt.Errorf("remote port 0: %w", ErrValue)
		}
		address(e, a, peerRemoteIPv4, peerRemoteIPv6)
		if zone := a.Zone(); zone != "" {
			scope, err := strconv.ParseUint(zone, 10, 32)
			if err != nil {
				return fmt.Errorf("zone %q is not the number of an interface: %w", zone, ErrValue)
			}
			e.Uint32(peerRemoteIPv6Scope, uint32(scope))
		}
		port(e, peerRemotePort, p.Remote.Port())
	}
	if p.Socket != 0 {
		e.Uint32(peerSocket, p.Socket)
	}
	address(e, p.VPN4, peerVPNIPv4, 0)
	address(e, p.VPN6, 0, peerVPNIPv6)
	address(e, p.Local.Addr(), peerLocalIPv4, peerLocalIPv6)
	if n := p.Local.Port(); n != 0 {
		port(e, peerLocalPort, n)
	}
	if k := p.Keepalive; k.Set {
		for attr, d := range map[uint16]time.Duration{peerKeepaliveInterval: k.Interval, peerKeepaliveTimeout: k.Timeout} {
			if d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
				return fmt.Errorf("keepalive of %v, attribute %d: %w", d, attr, ErrValue)
			}
		}
		e.Uint32(peerKeepaliveInterval, uint32(k.Interval/time.Second))
		e.Uint32(peerKeepaliveTimeout, uint32(k.Timeout/time.Second))
	}
	return nil
}

// address writes an address under the attribute of its family, if it has one.
func address(e *netlink.AttributeEncoder, a netip.Addr, v4, v6 uint16) {
	switch a = a.Unmap(); {
	case a.Is4() && v4 != 0:
		e.Bytes(v4, a.AsSlice())
	case a.Is6() && v6 != 0:
		e.Bytes(v6, a.AsSlice())
	}
}

func port(e *netlink.AttributeEncoder, attr, n uint16) {
	e.Bytes(attr, binary.BigEndian.AppendUint16(nil, n))
}

// decodePeer reads what the kernel tells about a peer. Attributes that this package does not know are passed over: later kernels add
// some.
func decodePeer(d *netlink.AttributeDecoder) (*Peer, error) {
	p := &Peer{}
	var remote, local netip.Addr
	var remotePort, localPort uint16
	var scope uint32
	counters := map[uint16]*uint64{
		peerVPNRxBytes: &p.VPN.RxBytes, peerVPNTxBytes: &p.VPN.TxBytes, peerVPNRxPackets: &p.VPN.RxPackets, peerVPNTxPackets: &p.VPN.TxPackets,
		peerLinkRxBytes: &p.Link.RxBytes, peerLinkTxBytes: &p.Link.TxBytes, peerLinkRxPackets: &p.Link.RxPackets, peerLinkTxPackets: &p.Link.TxPackets,
	}
	var err error
	for d.Next() && err == nil {
		switch t := d.Type(); t {
		case peerID:
			p.ID = d.Uint32()
		case peerRemoteIPv4, peerRemoteIPv6:
			remote, err = addressOf(d, t == peerRemoteIPv4)
		case peerRemoteIPv6Scope:
			scope = d.Uint32()
		case peerRemotePort:
			remotePort, err = portOf(d)
		case peerSocket:
			p.Socket = d.Uint32()
		case peerVPNIPv4:
			p.VPN4, err = addressOf(d, true)
		case peerVPNIPv6:
			p.VPN6, err = addressOf(d, false)
		case peerLocalIPv4, peerLocalIPv6:
			local, err = addressOf(d, t == peerLocalIPv4)
		case peerLocalPort:
			localPort, err = portOf(d)
		case peerKeepaliveInterval:
			p.Keepalive.Set, p.Keepalive.Interval = true, time.Duration(d.Uint32())*time.Second
		case peerKeepaliveTimeout:
			p.Keepalive.Set, p.Keepalive.Timeout = true, time.Duration(d.Uint32())*time.Second
		case peerDelReason:
			p.DelReason = DelReason(d.Uint32())
		default:
			if n := counters[t]; n != nil {
				*n, err = countOf(d)
			}
		}
	}
	if err := errors.Join(err, d.Err()); err != nil {
		return nil, err
	}
	if p.ID > MaxPeerID {
		return nil, fmt.Errorf("peer-id %d: %w", p.ID, ErrMessage)
	}
	if scope != 0 && remote.Is6() {
		remote = remote.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	p.Remote, p.Local = netip.AddrPortFrom(remote, remotePort), netip.AddrPortFrom(local, localPort)
	return p, nil
}

func addressOf(d *netlink.AttributeDecoder, v4 bool) (netip.Addr, error) {
	b := d.Bytes()
	a, ok := netip.AddrFromSlice(b)
	if !ok || a.Is4() != v4 {
		return netip.Addr{}, fmt.Errorf("address of %d bytes: %w", len(b), ErrMessage)
	}
	return a, nil
}

func portOf(d *netlink.AttributeDecoder) (uint16, error) {
	b := d.Bytes()
	if len(b) != 2 {
		return 0, fmt.Errorf("port of %d bytes: %w", len(b), ErrMessage)
	}
	return binary.BigEndian.Uint16(b), nil
}

// countOf reads an integer that the kernel sends in four or eight bytes, as its value needs.
func countOf(d *netlink.AttributeDecoder) (uint64, error) {
	switch n := len(d.Bytes()); n {
	case 4:
		return uint64(d.Uint32()), nil
	case 8:
		return d.Uint64(), nil
	default:
		return 0, fmt.Errorf("counter of %d bytes: %w", n, ErrMessage)
	}
}
