package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// listener is one local line with its address: an invalid one is any.
type listener struct {
	proto config.Proto
	at    netip.AddrPort
	v6    bool // its socket is one for IPv6
}

func newListener(proto config.Proto, at netip.AddrPort) listener {
	l := listener{proto: proto, at: at, v6: proto.Family() == 6}
	if at.Addr().IsValid() {
		l.v6 = at.Addr().Unmap().Is6()
	}
	return l
}

// resolveListeners finds addresses and port numbers.
func resolveListeners(ctx context.Context, list []config.Listener) ([]listener, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out []listener
	for _, l := range list {
		network := "udp"
		if l.Proto.IsTCP() {
			network = "tcp"
		}
		port, err := strconv.ParseUint(l.Port, 10, 16)
		if err != nil {
			n, err := net.DefaultResolver.LookupPort(ctx, network, l.Port)
			if err != nil {
				return nil, fmt.Errorf("port %s: %w", l.Port, err)
			}
			port = uint64(n)
		}
		var addr netip.Addr
		if l.Host != "" {
			addrs, err := transport.Resolve(ctx, l.Host, transport.FamilyAny)
			if err != nil {
				return nil, fmt.Errorf("local %s: %w", l.Host, err)
			}
			addr = addrs[0]
		}
		out = append(out, newListener(l.Proto, netip.AddrPortFrom(addr, uint16(port))))
	}
	return out, nil
}

// sockets are where a server listens: for each UDP listener several sockets on one port.
type sockets struct {
	udp []transport.Link
	tcp []*transport.Listener
}

func (s *sockets) close() {
	for _, l := range s.udp {
		_ = l.Close()
	}
	for _, l := range s.tcp {
		_ = l.Close()
	}
}

// listen binds all listeners, or none.
func (s *Server) listen(set *setup) (*sockets, error) {
	cfg := transport.ListenConfig{
		Multihome: transport.MultihomeOf(set.Multihome, set.MultihomeSameInterface),
		Socket: transport.Socket{
			SndBuf: set.SndBuf, RcvBuf: set.RcvBuf, Mark: uint32(set.Mark), BindDev: set.BindDev, NoDelay: set.TCPNoDelay,
			V6Only: set.prof.BindIPv6Only, DisableOffload: set.DisableOffload, MTUDisc: transport.MTUDiscOf(set.prof.MTUDisc),
			Log: s.deps.Log.Msg,
		},
		Stream: transport.Stream{QueueLimit: set.TCPQueueLimit, MaxFrame: set.prof.MaxFrame()},
	}
	socks := &sockets{}
	for n, l := range set.listeners {
		cfg.Local, cfg.Number, cfg.Family = l.at, uint8(n), transport.FamilyAny
		switch l.proto.Family() {
		case 4:
			cfg.Family = transport.FamilyIPv4
		case 6:
			cfg.Family = transport.FamilyIPv6
		}
		if err := s.bind(set, l, cfg, socks); err != nil {
			socks.close()
			return nil, err
		}
	}
	return socks, nil
}

// bind binds one listener.
func (s *Server) bind(set *setup, l listener, cfg transport.ListenConfig, socks *sockets) error {
	s.announceSocket(l)
	var at netip.AddrPort
	var proto string
	if l.proto.IsTCP() {
		ln, err := transport.ListenTCP(cfg)
		if err != nil {
			return err
		}
		socks.tcp = append(socks.tcp, ln)
		at, proto = ln.Addr(), "TCPv4_SERVER"
		if l.v6 {
			proto = "TCPv6_SERVER"
		}
		s.announceV6(set, l)
		s.logLine("", logging.Info, "Listening for incoming TCP connection on %s", transport.AddrText(at))
	} else {
		group, err := transport.ListenUDPGroup(cfg, runtime.GOMAXPROCS(0))
		if err != nil {
			return err
		}
		socks.udp = append(socks.udp, group...)
		at, proto = group[0].LocalAddr(), group[0].Proto()
		s.announceV6(set, l)
	}
	s.logLine("", logging.Info, "%s link local (bound): %s", proto, transport.AddrText(at))
	s.logLine("", logging.Info, "%s link remote: [AF_UNSPEC]", proto)
	return nil
}
