package client

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// newAttempt makes the session that runs over an open link. Its first packet is queued.
func (c *Client) newAttempt(prof *config.Connection, link transport.Link, remote netip.AddrPort) (*attempt, error) {
	now := time.Now()
	c.replays.open(c.opts.ReplayPersist)
	own := *prof
	a := &attempt{
		line: newLine(c.report, c.opts, prof, link, &c.totals.Out), tasks: newTasks(),
		c: c, opts: c.opts.Clone(), prof: &own, base: prof, start: now,
		control: make(chan controlPacket, controlQueue), broken: make(chan error, 1), wake: make(chan struct{}, 1),
	}
	a.peer.Addr = remote
	if prof.HTTPProxy != nil || prof.SOCKSProxy != nil {
		a.peer.Addr = link.RemoteAddr()
	}
	a.traffic.Begin(now)
	a.timers.Limits = a.offloaded.limits(a.opts.Timers, a.report)
	a.occ = ownOptions(a.opts, prof, link.Proto())
	if a.opts.Secret.Set() {
		return a, a.startStatic()
	}
	a.their.shown = "UNDEF"
	var err error
	a.session, a.wrap, err = a.newSession(now)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	c.forgetPeer()
	if a.peer.Addr.IsValid() {
		c.exportAddress("untrusted", a.peer.Addr)
	}
	return a, nil
}

// newSession makes a control session over the link, and what wraps its packets.
func (a *attempt) newSession(now time.Time) (*session.Session, ctrlwrap.Wrapper, error) {
	w, err := loadWrapping(a.opts, a.prof)
	if err != nil {
		return nil, nil, err
	}
	ctrlwrap.Resume(w.wrap, a.c.replays.state)
	occ := a.occ
	if a.opts.DisableOCC {
		occ = "V4"
	}
	hk := tlsconf.Hooks{Step: a.c.certChecked, Cert: func(depth int, cert *x509.Certificate, subject string) error {
		return a.c.verifyCert(a.ctx, depth, cert, subject)
	}}
	s, err := session.New(session.Config{Renewal: a.opts.RenegSec, Config: control.Config{
		Role: role(a.opts), Announce: a.session == nil && a.peer.Addr.IsValid() && !a.stream, TLS: a.c.conf.TLS(hk), Wrap: w.wrap, StaticKey: w.static, ResetOp: w.reset,
		LocalOptions: occ, PeerInfo: announcement(a.opts, a.prof, &a.c.deps), PacketSize: packetSize(a.prof, a.peer.Addr),
		TLSTimeout: a.opts.TLSTimeout, HandWindow: a.opts.HandWindow, TranWindow: a.opts.TranWindow, RenegAfter: a.opts.RenegSec,
		Wake: func() {
			select {
			case a.wake <- struct{}{}:
			default:
			}
		},
	}}, now)
	return s, w.wrap, err
}

// packetSize is the largest control packet as UDP payload or TCP frame: the option bounds the IP packet.
func packetSize(prof *config.Connection, remote netip.AddrPort) int {
	n := prof.MaxPacketSize
	if n == 0 {
		n = 1250
	}
	n -= 28
	if remote.Addr().Is6() {
		n -= 20
	}
	return n
}
