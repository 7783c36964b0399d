package engine

import (
	"errors"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Offload moves the data packets of peers outside this process, into the kernel. Without one, engines seal and open packets themselves.
// The control channel stays in the engine either way.
type Offload interface {
	// Attach hands a peer's data packets over. gone is called once at most, from any goroutine, when the peer is given up there.
	Attach(p OffloadPeer, gone func(Gone)) (Offloaded, error)
}

// Offloaded is a peer whose data packets are elsewhere. One goroutine at a time calls its methods.
type Offloaded interface {
	session.Plane
	// Keep sets the silence of ours after which a ping leaves, and the silence of the peer after which it is given up. Zero switches one off.
	Keep(ping, silence time.Duration) error
	// Tick does what is due at now, and returns what has been moved since Attach. It is called once a second.
	Tick(now time.Time) (Moves, error)
	// Close takes the peer back. It is idempotent.
	Close() error
}

// OffloadPeer describes a peer.
type OffloadPeer struct {
	Params        data.Params    // its peer-id, cipher, and our role
	Remote, Local netip.AddrPort // Local may be the zero value
	Socket        int            // descriptor of the UDP socket, 0 for none
	VPN4, VPN6    netip.Addr     // its addresses in the tunnel, of a server's clients
}

// Moves counts bytes and packets of a peer: on the link, headers included, and of payload at the device.
type Moves struct {
	LinkIn, LinkOut, TunIn, TunOut uint64
	PacketsIn                      uint64 // on the link
}

// Gone is why a peer was given up elsewhere.
type Gone uint8

// Reasons.
const (
	GoneSilent Gone = iota // nothing was heard for the time that Keep sets
	GoneBroken             // its socket or stream failed
)

// End is the end of a session whose peer was given up.
func (g Gone) End(l *session.Limits) TimerEnd {
	switch {
	case g == GoneBroken:
		return TimerEnd{Line: "Connection reset, restarting", Named: true, Signal: USR1, Reason: mgmt.ReasonConnectionReset}
	case l.PingExit > 0:
		return timerEnds[session.PingExitDue]
	}
	return timerEnds[session.PingRestartDue]
}

// Keepalive hands the timers of silence to a peer that is offloaded and takes them out of l.
func Keepalive(o Offloaded, l *session.Limits) error {
	silence := l.PingRestart
	if l.PingExit > 0 {
		silence = l.PingExit
	}
	err := o.Keep(l.Ping, silence)
	l.Ping, l.PingRestart, l.PingExit = 0, 0, 0
	return err
}

// errNotOffloaded are the reasons for which packets stay in this process.
var (
	errStream    = errors.New("the connection is a stream")
	errFormat    = errors.New("the data format needs AEAD packets with a peer-id, and no epochs, compression or fragments")
	errEthernet  = errors.New("the device carries Ethernet frames")
	errNoReplays = errors.New("replay protection is off")
	errFarewell  = errors.New("the peer hears no farewell in the control channel")
)

// Offloadable returns why only this process can carry such packets, nil when the kernel can too. stream is that of the link, farewell says
// that the farewell is a text of the control channel.
func Offloadable(p *data.Params, stream, farewell bool) error {
	suite, ok := data.Lookup(p.Cipher)
	switch {
	case stream:
		return errStream
	case !ok || suite.Mode != data.AEAD || !p.V2 || p.Epoch || p.Fragment > 0 || p.Framing != data.FramingNone:
		return errFormat
	case p.TAP:
		return errEthernet
	case p.NoReplay:
		return errNoReplays
	case !farewell:
		return errFarewell
	}
	return nil
}

// Counts adds what a peer has moved elsewhere to the traffic of its session.
type Counts struct{ last Moves }

// Tick does what is due at now, and counts what has been moved since the last time.
func (c *Counts) Tick(o Offloaded, tr *session.Traffic, total *Totals, now time.Time) error {
	m, err := o.Tick(now)
	if err != nil {
		return err
	}
	if m.PacketsIn > c.last.PacketsIn {
		tr.Heard(now)
	}
	in, out := m.LinkIn-c.last.LinkIn, m.LinkOut-c.last.LinkOut
	tr.LinkIn.Add(in)
	tr.LinkOut.Add(out)
	tr.TunIn.Add(m.TunIn - c.last.TunIn)
	tr.TunOut.Add(m.TunOut - c.last.TunOut)
	total.In.Add(in)
	total.Out.Add(out)
	c.last = m
	return nil
}
