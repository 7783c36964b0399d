package transport

import (
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// ListenUDPGroup binds n UDP server links to one address, so that n goroutines receive in parallel. The kernel spreads
// peers over them by a hash of both addresses: all packets of one peer come to the same link, in order. Any of the links can send to
// any peer. Systems that cannot do it give one link.
//
// The address is bound exclusively first and opened to the others afterwards, so another program on the same port is an
// error, as with ListenUDP.
func ListenUDPGroup(cfg ListenConfig, n int) ([]Link, error) {
	first, err := ListenUDP(cfg)
	if err != nil {
		return nil, err
	}
	links := []Link{first}
	if n <= 1 {
		return links, nil
	}
	raw, err := first.(*udpLink).conn.SyscallConn()
	if err == nil {
		if e := raw.Control(func(fd uintptr) { err = reusePort(int(fd)) }); e != nil {
			err = e
		}
	}
	if err != nil {
		cfg.logf(logging.Detail, "NOTE: one receiving socket only: %v", err)
		return links, nil
	}
	cfg.Local = netip.AddrPortFrom(cfg.Local.Addr(), first.LocalAddr().Port())
	cfg.reusePort = true
	cfg.Log = nil // the first has told about the buffers
	for len(links) < n {
		l, err := ListenUDP(cfg)
		if err != nil {
			for _, l := range links {
				_ = l.Close()
			}
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}
