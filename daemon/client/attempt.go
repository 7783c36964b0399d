package client

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// attempt is one connection from its open socket to its end. Only the owner goroutine, the one in run, touches its
// fields, but for those that data plane and helpers share through atomics and channels. Its parts:
//
//	line      the link to the peer, pings, and lines about packets
//	tasks     what other goroutines hand to the owner, and helpers
//	their     who the peer is
//	exit      the farewell
//	next      a peer that wants to replace the one that is here
//	received  how far packet ids have come, for replay-persist
type attempt struct {
	line
	tasks
	c    *Client
	opts *config.Options // a copy: pushed options change it, updates replace it
	prof *config.Connection
	base *config.Connection // prof without anything pushed

	control chan controlPacket
	broken  chan error
	wake    chan struct{}

	session *session.Session // nil in static-key mode
	wrap    ctrlwrap.Wrapper // of the session's packets
	occ     string           // our options string
	their   peerSide
	asking  bool // a helper asks for user name and password
	unsure  int  // keys that plugins have not answered about
	pull    session.Pull

	stage  session.Stage
	start  time.Time
	since  time.Time    // of CONNECTED
	stop   *engine.Stop // set once the attempt is to end
	exit   farewell
	next   *caller
	timers session.Timers

	terms     session.Terms // of the channel
	offloaded *offloaded    // nil while data packets are carried here
	filter    *filter
	usageAt   time.Time // of the next look at the newest key's use
	received  replayProgress
}

// peerSide holds what the peer tells of itself. The first handshake and the first key message fix it.
type peerSide struct {
	heard   bool   // its first packet has come
	secured string // how the newest handshake secures the control channel
	name    string // of its certificate
	shown   string // the name in log lines
	options string
	info    message.PeerInfo
}

// front is the peer's name in front of log lines, with a blank behind it; a peer with a static key has none.
func (p *peerSide) front() string {
	if p.shown == "" {
		return ""
	}
	return "[" + p.shown + "] "
}

// end makes the attempt end with a soft signal unless it ends already.
func (a *attempt) end(sig engine.Signal, reason string) {
	a.stopWith(engine.Stop{Signal: a.c.sig.Effective(sig), Source: engine.Soft, Reason: reason})
}

func (a *attempt) stopWith(s engine.Stop) {
	if a.stop == nil {
		a.stop = &s
	}
}

// run owns the attempt until it ends and returns why. The link is closed and every goroutine of the attempt gone
// when it returns; the tunnel stays for the caller.
func (a *attempt) run(ctx context.Context) engine.Stop {
	ctx, cancel := context.WithCancel(ctx)
	a.ctx = ctx
	a.receive()
	defer func() {
		a.c.path.Store(nil)
		cancel()
		a.link.Close()
		a.offloaded.close(a.report)
		if a.session != nil {
			a.session.Close()
			a.next.close()
		}
		a.wg.Wait()
		a.c.replays.keep(replayState(a.wrap, a.channel))
		close(a.done)
	}()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		a.step(now)
		for a.events(now) {
			a.step(now) // what the engine answered has to leave too
		}
		deadline := a.checkTimers(now)
		deadline = session.Earliest(deadline, a.step(now))
		a.flush(now)
		if a.stop != nil && !a.leaving(now) {
			return *a.stop
		}
		timer.Reset(max(time.Until(deadline), 0))
		select {
		case p := <-a.control:
			a.input(p)
			for range len(a.control) {
				a.input(<-a.control)
			}
		case <-a.wake:
		case <-timer.C:
		case f := <-a.results:
			f()
		case err := <-a.broken:
			a.linkBroken(err)
		case <-a.c.sig.Wake():
			a.signalled(time.Now())
		case <-a.c.sig.Statistics():
			a.c.logStatistics()
		case <-ctx.Done():
			a.stopWith(engine.Stop{Signal: engine.TERM})
		}
	}
}

// receive starts the reader of the link.
func (a *attempt) receive() {
	notice := func(err error) { // what a network reports back for an earlier packet
		a.notice(err)
		if a.session != nil && errors.Is(err, syscall.ECONNREFUSED) { // a closed port tells that the peer is away
			a.post(func() { a.session.Refused(time.Now()) })
		}
	}
	in := &inbound{
		link: a.link, path: &a.c.path, control: a.control, broken: a.broken, traffic: &a.traffic, total: &a.c.totals.In,
		notice: notice, bad: a.notePacket, device: a.noteDevice,
		received: &a.received, heard: func(p transport.Peer) { a.post(func() { a.heardFrom(p) }) }, exit: func() { a.post(func() { a.remoteExit("OCC") }) },
	}
	if a.opts.MTUTest {
		in.answer = func(msg []byte) { a.post(func() { a.answered(msg) }) }
	}
	a.wg.Go(in.run)
}

// step moves the control session on; static-key mode has none.
func (a *attempt) step(now time.Time) time.Time {
	if a.session == nil {
		return time.Time{}
	}
	deadline := a.session.Step(now)
	if a.next != nil {
		deadline = session.Earliest(deadline, a.next.session.Step(now))
	}
	return deadline
}

// flush sends what the sessions have ready.
func (a *attempt) flush(now time.Time) {
	if a.session != nil {
		a.sendAll(a.session, a.peer, now)
	}
	if a.next != nil {
		a.sendAll(a.next.session, a.next.peer, now)
	}
}

// input passes a control packet to the session.
func (a *attempt) input(p controlPacket) {
	if a.foreign(p.from) {
		return
	}
	now := time.Now()
	if a.called(p, now) {
		return
	}
	if err := a.session.Input(p.b, now); err != nil {
		a.controlError(p, err, now)
		return
	}
	a.traffic.Heard(now)
	if !a.peer.Addr.IsValid() {
		a.peer = p.from // the first caller
		a.c.exportAddress("untrusted", a.peer.Addr)
	}
}

// sendText sends a text message on the control channel and logs it.
func (a *attempt) sendText(msg string) bool {
	err := a.session.SendText(msg)
	status := 1
	if err != nil {
		status = 0
	}
	a.log(logging.Steps, "SENT CONTROL [%s]: '%s' (status=%d)", a.their.shown, msg, status)
	return err == nil
}

// linkBroken ends the attempt because the stream or socket is gone.
func (a *attempt) linkBroken(err error) {
	if a.stream {
		transport.LogLost(err, a.log)
		a.end(engine.USR1, mgmt.ReasonConnectionReset)
		return
	}
	a.log(logging.Error, "%v", err)
	a.end(engine.USR1, mgmt.ReasonUnreachable)
}

// controlError logs a control packet that was dropped, at most one a second of a datagram link: any host can send those.
func (a *attempt) controlError(p controlPacket, err error, now time.Time) {
	if !a.stream && now.Sub(a.badControl) < time.Second {
		return
	}
	a.badControl = now
	from := transport.AddrText(p.from.Addr)
	w := engine.Unwrapped
	switch {
	case a.prof.TLSAuth.Set():
		w = engine.TLSAuth
	case a.prof.TLSCrypt.Set() || a.prof.TLSCryptV2.Set():
		w = engine.TLSCrypt
	}
	for _, line := range engine.UnwrapLines(err, w, from) {
		a.log(logging.Info, "%s", line)
	}
	if a.stream {
		a.log(logging.Error, "Fatal TLS error (check_tls_errors_co), restarting")
		a.end(engine.USR1, mgmt.ReasonTLSError)
	}
}
