package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// attempt is one connection from its open socket to its end. Only the owner goroutine, the one in run, touches its
// fields, but for those the data plane shares through atomics.
type attempt struct {
	c       *Client
	opts    *config.Options // a copy: pushed options change it, updates replace it
	prof    *config.Connection
	base    *config.Connection // prof without anything pushed
	link    transport.Link
	peer    transport.Peer
	session *session.Session // nil in static-key mode
	wrap    ctrlwrap.Wrapper // of the session's packets
	channel *data.Channel
	traffic session.Traffic
	timers  session.Timers

	start    time.Time
	stop     *engine.Stop // set once the attempt is to end
	serverCN string
	secured  string // how the newest handshake secures the control channel
	stage    session.Stage
	heard    bool      // the peer has sent its first packet
	since    time.Time // of CONNECTED
	asking   bool      // a helper asks for user name and password

	occ string // our options string

	terms session.Terms
	their struct { // what the peer's first key message says
		options string
		info    message.PeerInfo
	}
	pull    session.Pull
	mtuTest session.MTUTest
	exit    struct { // leaving with a notification
		until, next time.Time
		left        int
	}
	unsure  int // keys that plugins have not answered about
	filter  *filter
	next    *caller   // wants to replace the session
	usageAt time.Time // of the next look at the newest key's use

	replaysAt time.Time // when the file of replay-persist is written next
	received  replayProgress

	control       chan controlPacket
	broken        chan error
	wake          chan struct{}
	results       chan func() // what helpers want done by the owner
	failureLogged atomic.Bool // in this second, of a data packet
	// deviceLogged: and so was a failed write to the device.
	deviceLogged  atomic.Bool
	controlLogged time.Time
	wg            sync.WaitGroup
	ctx           context.Context // of helpers; ended by run
	done          chan struct{}   // closed when run returns
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
		if a.session != nil {
			a.session.Close()
			a.dropCaller()
		}
		a.wg.Wait()
		a.c.keepReplays(a.replayState())
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
	in := &inbound{
		link: a.link, path: &a.c.path, control: a.control, broken: a.broken, traffic: &a.traffic, total: &a.c.totals.In,
		notice: a.noteError, bad: a.notePacket, device: a.noteDevice,
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

// post hands f to the owner from another goroutine of the attempt.
func (a *attempt) post(f func()) {
	select {
	case a.results <- f:
	case <-a.ctx.Done():
	}
}

// help runs work beside the owner; what it returns is then run by the owner.
func (a *attempt) help(work func(ctx context.Context) func()) {
	a.wg.Go(func() {
		if f := work(a.ctx); f != nil {
			a.post(f)
		}
	})
}

// input passes a control packet to the session.
func (a *attempt) input(p controlPacket) {
	if !a.floats() && p.from.Addr.IsValid() && p.from.Addr != a.peer.Addr && a.peer.Addr.IsValid() {
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
		a.exportAddress("untrusted")
	}
}

// flush sends what the session has ready.
func (a *attempt) flush(now time.Time) {
	for a.session != nil {
		pkt, ok := a.session.Next()
		if !ok {
			break
		}
		a.send(pkt, now)
	}
	for a.next != nil {
		pkt, ok := a.next.session.Next()
		if !ok {
			break
		}
		a.sendTo(a.next.peer, pkt, now)
	}
}

func (a *attempt) send(pkt []byte, now time.Time) {
	if !a.peer.Addr.IsValid() { // no peer has called yet
		a.traffic.Sent(now)
		return
	}
	a.sendTo(a.peer, pkt, now)
}

func (a *attempt) sendTo(peer transport.Peer, pkt []byte, now time.Time) {
	if err := a.link.Send(peer, [][]byte{pkt}); err != nil {
		a.noteError(err)
	}
	a.traffic.LinkOut.Add(uint64(len(pkt)))
	a.c.totals.Out.Add(uint64(len(pkt)))
	a.traffic.Sent(now)
}

// signalled acts on a pending signal.
func (a *attempt) signalled(now time.Time) {
	stop, ok := a.c.sig.Take()
	if !ok {
		return
	}
	if stop.Source == engine.Hard && stop.Reason == "" && stop.Signal >= engine.TERM && a.stage == session.Established && a.exit.until.IsZero() {
		if n := a.prof.ExplicitExitNotify; n > 0 {
			a.c.log(logging.Info, "%s received, sending exit notification to peer", stop.Signal)
			a.exit.left, a.exit.next, a.exit.until = n, now, now.Add(time.Duration(n)*time.Second)
			a.stopWith(engine.Stop{Signal: stop.Signal, Source: engine.Soft, Reason: mgmt.ReasonExitNotification})
			return
		}
	}
	if !a.exit.until.IsZero() && stop.Signal < engine.TERM {
		a.c.log(logging.Info, "Ignoring %s received during exit notification", stop.Signal)
		return
	}
	a.exit.until = time.Time{}
	a.stop = &stop
}

// leaving sends exit notifications and reports whether the attempt has to stay for them.
func (a *attempt) leaving(now time.Time) bool {
	if a.exit.until.IsZero() || !now.Before(a.exit.until) {
		return false
	}
	if a.exit.left > 0 && !now.Before(a.exit.next) {
		if a.terms.CCExit {
			a.sendText("EXIT") // once: the reliable layer repeats it
			a.exit.left = 0
		} else {
			a.sendExit(now)
			a.exit.left--
			a.exit.next = now.Add(time.Second)
		}
		a.flush(now)
	}
	return true
}

// sendText sends a text message on the control channel and logs it.
func (a *attempt) sendText(msg string) bool {
	err := a.session.SendText(msg)
	status := 1
	if err != nil {
		status = 0
	}
	a.c.log(logging.Steps, "SENT CONTROL [%s]: '%s' (status=%d)", a.name(), msg, status)
	return err == nil
}

// name is the peer in log lines: its common name.
func (a *attempt) name() string {
	if a.serverCN == "" && a.session != nil {
		return "UNDEF"
	}
	return a.serverCN
}

// linkBroken ends the attempt because the stream or socket is gone.
func (a *attempt) linkBroken(err error) {
	if a.stream() {
		transport.LogLost(err, a.c.log)
		a.end(engine.USR1, mgmt.ReasonConnectionReset)
		return
	}
	a.c.log(logging.Error, "%v", err)
	a.end(engine.USR1, mgmt.ReasonUnreachable)
}

func (a *attempt) stream() bool { return len(a.link.Proto()) > 3 && a.link.Proto()[:3] == "TCP" }

// noteError logs a transient socket error. Safe for any goroutine.
func (a *attempt) noteError(err error) { a.c.log(logging.Error, "%v", err) }

// noteDevice logs a failed write to the device, at most one a second. Safe for any goroutine.
func (a *attempt) noteDevice(err error) {
	if a.deviceLogged.CompareAndSwap(false, true) {
		a.c.log(logging.Error, "write to TUN/TAP : %s", deviceError(err))
		time.AfterFunc(time.Second, func() { a.deviceLogged.Store(false) })
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

// notePacket logs a data packet that was dropped, at most one a second. Safe for any goroutine.
func (a *attempt) notePacket(c *data.Channel, err error) {
	if a.c.opts.MuteReplayWarnings && errors.Is(err, data.ErrReplay) {
		return
	}
	if a.failureLogged.CompareAndSwap(false, true) {
		a.c.log(logging.Info, "%s", data.OpenErrorText(err, c.Params().Cipher))
		time.AfterFunc(time.Second, func() { a.failureLogged.Store(false) })
	}
}

// controlError logs a control packet that was dropped, at most one a second of a datagram link: any host can send those.
func (a *attempt) controlError(p controlPacket, err error, now time.Time) {
	if !a.stream() && now.Sub(a.controlLogged) < time.Second {
		return
	}
	a.controlLogged = now
	from := transport.AddrText(p.from.Addr)
	w := engine.Unwrapped
	switch {
	case a.prof.TLSAuth.Set():
		w = engine.TLSAuth
	case a.prof.TLSCrypt.Set() || a.prof.TLSCryptV2.Set():
		w = engine.TLSCrypt
	}
	for _, line := range engine.UnwrapLines(err, w, from) {
		a.c.log(logging.Info, "%s", line)
	}
	if a.stream() {
		a.c.log(logging.Error, "Fatal TLS error (check_tls_errors_co), restarting")
		a.end(engine.USR1, mgmt.ReasonTLSError)
	}
}
