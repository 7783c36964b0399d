package transport

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// errnoName is the C name of an error number, for example ECONNREFUSED.
func errnoName(n syscall.Errno) string { return unix.ErrnoName(n) }

// control applies the options that must be set before bind or connect. network is the one package net passes: "udp4", "tcp6", …
func (s *Socket) control(network string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = s.apply(network, int(fd)) }); e != nil {
		return e
	}
	return err
}

func (s *Socket) apply(network string, fd int) error {
	v6 := network[len(network)-1] == '6'
	s.buffers(network, fd)
	if s.reusePort {
		if err := reusePort(fd); err != nil {
			return err
		}
	}
	if s.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(s.Mark)); err != nil {
			return optionError("SO_MARK", err)
		}
	}
	if s.BindDev != "" {
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, s.BindDev); err != nil {
			return optionError("SO_BINDTODEVICE", err)
		}
		s.logf(logging.Info, "Using bind-dev %s", s.BindDev)
	}
	if s.MTUDisc != MTUDiscDefault {
		mode := [...]int{MTUDiscNo: unix.IP_PMTUDISC_DONT, MTUDiscMaybe: unix.IP_PMTUDISC_WANT, MTUDiscYes: unix.IP_PMTUDISC_DO}[s.MTUDisc]
		if v6 {
			// The values of the IPv6 option are the same. A dual stack socket takes both.
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, mode); err != nil {
				return optionError("IPV6_MTU_DISCOVER", err)
			}
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode); err != nil && !v6 {
			return optionError("IP_MTU_DISCOVER", err)
		}
	}
	if s.TOS != 0 {
		if v6 {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, s.TOS); err != nil {
				return optionError("IPV6_TCLASS", err)
			}
		} else if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, s.TOS); err != nil {
			return optionError("IP_TOS", err)
		}
	}
	return nil
}

// reusePort lets further sockets of this user be bound to the same port.
func reusePort(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return optionError("SO_REUSEPORT", err)
	}
	return nil
}

func optionError(name string, err error) error {
	return &net.OpError{Op: "setsockopt " + name, Err: err}
}

// udpRcvBuf is the receive buffer of a datagram socket, in bytes, unless the configuration names one. The kernel's
// default holds three batches of 64 KB, so that a reader that is away for half a millisecond loses one.
const udpRcvBuf = 2 << 20

// buffers sets the buffer sizes and says what came of it.
func (s *Socket) buffers(network string, fd int) {
	size := func(opt int) int {
		n, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
		return n
	}
	r, w := size(unix.SO_RCVBUF), size(unix.SO_SNDBUF)
	switch {
	case s.RcvBuf > 0:
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, s.RcvBuf) // the kernel clamps; the line below tells
	case strings.HasPrefix(network, "udp") && r < udpRcvBuf:
		// Past the system's limit where we may, else up to it.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpRcvBuf) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, udpRcvBuf)
		}
	}
	if s.SndBuf > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, s.SndBuf)
	}
	s.logf(logging.Steps, "Socket Buffers: R=[%d->%d] S=[%d->%d]", r, size(unix.SO_RCVBUF), w, size(unix.SO_SNDBUF))
}

// probeOffload asks the kernel for UDP receive offload and whether it knows segmented sends.
func probeOffload(fd int) (segment, receive bool) {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	segment = err == nil
	receive = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
	return segment, receive
}

// setPacketInfo makes the kernel tell the local address of each datagram.
func setPacketInfo(fd int, v6 bool) error {
	if v6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return optionError("IPV6_RECVPKTINFO", err)
		}
		return nil // a dual stack socket reports IPv4 as mapped addresses here too
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return optionError("IP_PKTINFO", err)
	}
	return nil
}

// control message layout: header, data at dataOff, next header at an aligned place.
var cmsgData = unix.CmsgLen(0)

// parseControl reads the control messages of one receive. segment is the size of all datagrams but the last (0: a single one).
func parseControl(oob []byte, p *Peer) (segment int) {
	for len(oob) >= cmsgData {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		n := int(h.Len)
		if n < cmsgData || n > len(oob) {
			return segment
		}
		data := oob[cmsgData:n]
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			p.Local, p.IfIndex = netip.AddrFrom4(info.Spec_dst), int(info.Ifindex)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			p.Local, p.IfIndex = netip.AddrFrom16(info.Addr).Unmap(), int(info.Ifindex)
		}
		next := unix.CmsgSpace(n - cmsgData)
		if next >= len(oob) {
			return segment
		}
		oob = oob[next:]
	}
	return segment
}

// appendControl builds the control messages of one send: the segment size unless 0, the type of service, the source address of a
// multihomed peer and the interface unless 0. v6 tells the family of the socket. dst has room.
func appendControl(dst []byte, segment int, p Peer, v6 bool) []byte {
	if segment > 0 {
		var data []byte
		dst, data = appendCmsg(dst, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		*(*uint16)(unsafe.Pointer(&data[0])) = uint16(segment)
	}
	if p.TOS != 0 {
		level, typ := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
		if v6 && !p.Addr.Addr().Is4() {
			level, typ = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		var data []byte
		dst, data = appendCmsg(dst, level, typ, 4)
		*(*int32)(unsafe.Pointer(&data[0])) = int32(p.TOS)
	}
	if !p.Local.IsValid() {
		return dst
	}
	var data []byte
	switch {
	case p.Local.Is4() && v6:
		// An IPv4 peer of a dual stack socket: the IPv6 message takes the mapped address.
		fallthrough
	case p.Local.Is6():
		dst, data = appendCmsg(dst, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		info.Addr, info.Ifindex = p.Local.As16(), uint32(p.IfIndex)
	default:
		dst, data = appendCmsg(dst, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		info.Spec_dst, info.Ifindex = p.Local.As4(), int32(p.IfIndex)
	}
	return dst
}

// appendCmsg appends the header of a control message and returns its data part, zeroed.
func appendCmsg(dst []byte, level, typ int32, size int) (whole, data []byte) {
	off := len(dst)
	space := unix.CmsgSpace(size)
	dst = dst[:off+space]
	clear(dst[off:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&dst[off]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(size))
	return dst, dst[off+cmsgData : off+cmsgData+size]
}
