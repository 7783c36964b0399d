package client

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// line is the way to the peer: the link and the address that packets go to, and the data channel for pings. The owner of the
// attempt changes it. The notes about packets that were dropped may come from any goroutine.
type line struct {
	*report
	link    transport.Link
	peer    transport.Peer
	channel *data.Channel // nil until keys are agreed, and while packets are carried elsewhere
	traffic session.Traffic
	mtuTest session.MTUTest
	sent    *atomic.Uint64 // bytes of the process

	stream bool // TCP
	floats bool // the peer may change its address
	mute   bool // say nothing about replays

	badPackets, badWrites *ratelimit.Bucket // lines about them
	badControl            time.Time         // the last line about a control packet
}

// newLine makes the way to a peer. By default a peer may change its address when the configuration names none; any other
// socket is connected and hears no other address.
func newLine(r *report, o *config.Options, prof *config.Connection, link transport.Link, sent *atomic.Uint64) line {
	stream := strings.HasPrefix(link.Proto(), "TCP")
	return line{
		report: r, link: link, sent: sent, stream: stream, floats: !stream && (prof.Float || prof.Remote == ""), mute: o.MuteReplayWarnings,
		badPackets: ratelimit.New(1, time.Second), badWrites: ratelimit.New(1, time.Second),
	}
}

// outer describes the packets that carry data packets.
func (l *line) outer(prof *config.Connection) data.Outer {
	return data.Outer{IPv6: l.peer.Addr.Addr().Is6(), TCP: l.stream, SOCKS: prof.SOCKSProxy != nil}
}

// foreign reports whether a packet comes from another address than the peer's, and the peer keeps its address.
func (l *line) foreign(from transport.Peer) bool {
	return !l.floats && from.Addr.IsValid() && from.Addr != l.peer.Addr && l.peer.Addr.IsValid()
}

// send sends a packet to a peer, or drops it while none has called yet.
func (l *line) send(peer transport.Peer, pkt []byte, now time.Time) {
	l.traffic.Sent(now)
	if !peer.Addr.IsValid() {
		return
	}
	if err := l.link.Send(peer, [][]byte{pkt}); err != nil {
		l.notice(err)
	}
	l.traffic.LinkOut.Add(uint64(len(pkt)))
	l.sent.Add(uint64(len(pkt)))
}

// sendAll sends to peer what its session has ready.
func (l *line) sendAll(s *session.Session, peer transport.Peer, now time.Time) {
	for {
		pkt, ok := s.Next()
		if !ok {
			return
		}
		l.send(peer, pkt, now)
	}
}

// ping sends a ping. Without keys it counts as sent, so that the timer does not spin.
func (l *line) ping(now time.Time) {
	pkt, err := l.channel.SealPing(nil, now)
	if err != nil {
		l.traffic.Sent(now)
		return
	}
	l.send(l.peer, pkt, now)
}

// testMTU goes on with mtu-test and returns when its next step is due.
func (l *line) testMTU(now time.Time) time.Time {
	pkts, text := l.mtuTest.Step(l.channel, now)
	if text != "" {
		l.log(logging.Info, "%s", text)
	}
	for _, pkt := range pkts {
		l.send(l.peer, pkt, now)
	}
	return l.mtuTest.Due()
}

// answered takes an answer of the peer in the data channel.
func (l *line) answered(msg []byte) {
	for _, text := range l.mtuTest.Answer(l.channel, msg) {
		l.log(logging.Info, "%s", text)
	}
}

// sayExit tells a peer without control channel notifications that we leave.
func (l *line) sayExit(now time.Time) {
	if l.channel == nil { // then the control channel says it
		return
	}
	if pkt, err := l.channel.SealExit(nil, now); err == nil {
		l.send(l.peer, pkt, now)
	}
}

// noteDevice logs a failed write to the device, at most one a second.
func (l *line) noteDevice(err error) {
	if l.badWrites.Allow(time.Now()) {
		l.log(logging.Error, "write to TUN/TAP : %s", deviceError(err))
	}
}

// deviceError is the text of the system's error number, if there is one.
func deviceError(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return fmt.Sprintf("%s (code=%d)", transport.ErrnoText(no), int(no))
	}
	return err.Error()
}

// notePacket logs a data packet that was dropped, at most one a second.
func (l *line) notePacket(c *data.Channel, err error) {
	if l.mute && errors.Is(err, data.ErrReplay) {
		return
	}
	if l.badPackets.Allow(time.Now()) {
		l.log(logging.Info, "%s", data.OpenErrorText(err, c.Params().Cipher))
	}
}

// loops makes a function that logs, at most once a second, that a packet for the peer itself came out of the tunnel. It names
// the peer of this moment: the owner may change the address meanwhile.
func (l *line) loops() func() {
	peer := transport.AddrText(l.peer.Addr)
	return func() {
		if l.badPackets.Allow(time.Now()) {
			l.log(logging.Detail, "Recursive routing detected, drop tun packet to %s", peer)
		}
	}
}
