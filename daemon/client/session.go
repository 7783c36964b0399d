package client

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// newAttempt makes the session that runs over an open link. Its first packet is queued.
func (c *Client) newAttempt(prof *config.Connection, link transport.Link, remote netip.AddrPort) (*attempt, error) {
	now := time.Now()
	opts := c.opts.Clone()
	c.openReplays()
	prof2 := *prof
	a := &attempt{
		c: c, opts: opts, prof: &prof2, base: prof, link: link, peer: transport.Peer{Addr: remote}, start: now,
		control: make(chan controlPacket, controlQueue), broken: make(chan error, 1), wake: make(chan struct{}, 1),
		results: make(chan func(), 1), done: make(chan struct{}),
	}
	a.traffic.Begin(now)
	if prof.HTTPProxy != nil || prof.SOCKSProxy != nil {
		a.peer.Addr = link.RemoteAddr()
	}
	if opts.Secret.Set() {
		return a, a.startStatic()
	}
	a.occ = a.options()
	var err error
	a.session, a.wrap, err = a.newSession(now)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	a.setTimers()
	for _, name := range []string{"tls_", "X509_"} {
		c.env.UnsetPrefix(name)
	}
	for _, name := range []string{"common_name", "trusted_ip", "trusted_ip6", "trusted_port", "untrusted_ip", "untrusted_ip6", "untrusted_port"} {
		c.env.Unset(name)
	}
	if a.peer.Addr.IsValid() {
		a.exportAddress("untrusted")
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
	s, err := session.New(session.Config{Renewal: a.opts.RenegSec, Config: control.Config{
		Role: role(a.opts), TLS: a.handshake(), Wrap: w.wrap, StaticKey: w.static, ResetOp: w.reset,
		LocalOptions: occ, PeerInfo: a.announce(), PacketSize: packetSize(a.prof, a.peer.Addr),
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

// setTimers takes over what the options say about keepalives and limits; a server's options change it.
func (a *attempt) setTimers() { a.timers.Limits = engine.Timers(a.opts.Timers) }

// options composes our options compatibility string.
func (a *attempt) options() string {
	o, p := a.opts, a.prof
	s := message.Options{
		TAP: o.DevType == config.DevTap, TunMTU: p.TunMTU, Proto: a.link.Proto(), Framing: o.Framing != config.FramingNone,
		Fragment: p.Fragment > 0, KeyDir: -1, Auth: o.Auth, Keysize: 128, TLSAuth: p.TLSAuth.Set(), Server: o.TLSServer,
	}
	if p.OCCMTU > 0 {
		s.TunMTU = p.OCCMTU
	}
	s.Static = o.Secret.Set()
	if (p.TLSAuth.Set() || s.Static) && p.KeyDirection != config.KeyBidirectional {
		s.KeyDir = int(p.KeyDirection)
	}
	if o.CipherDefined && (!o.Pull || contains(o.DataCiphers, o.Cipher)) {
		s.Cipher = o.Cipher
		if suite, ok := data.Lookup(o.Cipher); ok {
			s.Keysize = suite.KeyBits()
			if suite.Mode == data.AEAD {
				s.Auth = "[null-digest]"
			}
		}
	}
	if !o.Pull && o.Ifconfig.Set() {
		s.Ifconfig = o.Ifconfig.Remote.String() + " " + o.Ifconfig.Local.String()
	}
	return s.String()
}

// announce composes the peer info of our key message.
func (a *attempt) announce() string {
	o := a.opts
	n := message.Announcement{
		Version: a.c.deps.Version, Platform: "linux", Pull: o.Pull, MaxMTU: max(a.prof.TunMTUMax, 1600), Ciphers: o.DataCiphers,
		Framings: o.Framing != config.FramingNone || o.AllowCompression != "", Push: o.PushPeerInfo, Library: "Go crypto/tls",
	}
	if !o.Pull && len(o.DataCiphers) == 0 {
		return ""
	}
	if o.Pull && o.PushPeerInfo {
		n.Release = release()
		if gw, err := a.c.deps.Net.DefaultGateway(netip.IPv4Unspecified()); err == nil && len(gw.MAC) > 0 {
			n.HWAddr = gw.MAC.String()
		}
	}
	for _, e := range o.Env {
		n.Env = append(n.Env, e.Name+"="+e.Value)
	}
	return n.String()
}

// release is the system's, as uname -r prints it.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

// exportAddress sets the variables of the peer's address: untrusted from the start, trusted after authentication.
func (a *attempt) exportAddress(prefix string) {
	addr := a.peer.Addr
	name := prefix + "_ip"
	if addr.Addr().Is6() {
		name += "6"
	}
	a.c.env.Set(name, addr.Addr().String())
	a.c.env.Set(prefix+"_port", fmt.Sprint(addr.Port()))
}

// trustPeer marks the peer's address as authenticated.
func (a *attempt) trustPeer() { a.exportAddress("trusted") }

// addressChanged runs the ipchange script.
func (a *attempt) addressChanged() {
	if !a.c.hooks.Wanted(a.opts.IPChange, plugin.IPChange) {
		return
	}
	call := hooks.Call{
		Event: plugin.IPChange, Log: a.c.log,
		Tag: "--ipchange", Type: "ipchange", Command: strings.ReplaceAll(a.opts.IPChange, ",", " "),
		Args: []string{strings.Replace(transport.AddrText(a.peer.Addr), ":"+fmt.Sprint(a.peer.Addr.Port()), " "+fmt.Sprint(a.peer.Addr.Port()), 1)},
		Env:  a.c.env.Clone(),
	}
	a.help(func(ctx context.Context) func() {
		err := a.c.hooks.TellPlugins(ctx, call)
		if err == nil && call.Command != "" {
			err = a.c.hooks.Run(ctx, call)
		}
		if err != nil {
			a.c.log(logging.Warn, "%v", err)
		}
		return nil
	})
}

// dialConfig translates a profile into what the transport wants.
func (c *Client) dialConfig(ctx context.Context, prof *config.Connection, remote netip.AddrPort) (transport.DialConfig, error) {
	o := c.opts
	cfg := transport.DialConfig{
		Remote: remote, Float: prof.Float,
		Socket: transport.Socket{
			SndBuf: o.SndBuf, RcvBuf: o.RcvBuf, Mark: uint32(o.Mark), BindDev: o.BindDev, NoDelay: o.TCPNoDelay,
			V6Only: prof.BindIPv6Only, DisableOffload: o.DisableOffload,
			Log: c.log,
		},
		Stream: transport.Stream{SendWait: time.Second, MaxFrame: prof.MaxFrame()}, Timeout: prof.ConnectTimeout,
		Connecting: func() {
			c.log(logging.Info, "Attempting to establish TCP connection with %s", transport.AddrText(remote))
			c.state(mgmt.State{Name: mgmt.StateTCPConnect})
		},
		Connected: func() { c.log(logging.Info, "TCP connection established with %s", transport.AddrText(remote)) },
	}
	switch prof.MTUDisc {
	case "no":
		cfg.MTUDisc = transport.MTUDiscNo
	case "maybe":
		cfg.MTUDisc = transport.MTUDiscMaybe
	case "yes":
		cfg.MTUDisc = transport.MTUDiscYes
	}
	if prof.Bind {
		port, err := portNumber(ctx, prof.Proto, prof.LocalPort)
		if err != nil {
			return cfg, fmt.Errorf("local port %s: %w", prof.LocalPort, err)
		}
		addr := netip.IPv4Unspecified()
		if remote.Addr().Is6() || prof.Proto.Family() == 6 {
			addr = netip.IPv6Unspecified()
		}
		if prof.Local != "" {
			addrs, err := transport.Resolve(ctx, prof.Local, family(prof.Proto))
			if err != nil {
				return cfg, err
			}
			addr = addrs[0]
		}
		cfg.Local = netip.AddrPortFrom(addr, port)
	}
	if prof.HTTPProxy == nil && prof.SOCKSProxy == nil {
		return cfg, nil
	}
	port, err := portNumber(ctx, prof.Proto, prof.RemotePort)
	if err != nil {
		return cfg, err
	}
	cfg.TargetHost, cfg.TargetPort = prof.Remote, port
	c.proxies(prof, &cfg)
	return cfg, nil
}
