package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
)

// work runs the goroutines of an instance until a signal ends it, and waits for all but those of the device.
func (s *Server) work(ctx context.Context, h *hub, socks *sockets, planes *sync.WaitGroup) engine.Stop {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.working = ctx
	var wg sync.WaitGroup
	broken := make(chan error, 16)
	report := func(err error) {
		if err != nil {
			select {
			case broken <- err:
			default:
			}
		}
	}
	out := newOutbound(h.plane, runtime.GOMAXPROCS(0))
	planes.Go(func() { report(out.run()) })
	for w := range out.workers {
		planes.Go(func() { out.seal(w) })
	}
	door := &entrance{plane: h.plane, arrivals: h.arrivals, other: newShare(h.boot, h.streams.limits.shared, h.plane.linesAbout)}
	if door.other != nil {
		s.logLine("", logging.Info, "PORT SHARE PROXY: proxy starting")
		defer s.logLine("", logging.Info, "PORT SHARE PROXY: proxy exiting")
	}
	for _, l := range socks.udp {
		wg.Go(func() { report(door.inbound(l, false).run()) })
	}
	for _, ln := range socks.tcp {
		wg.Go(func() { report(door.acceptStreams(ctx, ln, &wg)) })
	}
	if h.plane.relaying != nil {
		wg.Go(func() { report((&fromNodes{plane: h.plane}).run()) })
	}
	hubDone := make(chan struct{})
	wg.Go(func() {
		defer close(hubDone)
		h.run(ctx)
	})
	stop := s.wait(ctx, h, broken)
	s.live.Store(nil)
	cancel()
	<-hubDone
	close(h.gone)
	h.shutdown()
	h.unreach()
	socks.close()
	wg.Wait()
	h.endHooks()
	return stop
}

// wait waits for a signal, or for something to break.
func (s *Server) wait(ctx context.Context, h *hub, broken <-chan error) engine.Stop {
	sig := s.deps.Signals
	for {
		select {
		case <-sig.Wake():
			stop, ok := sig.Take()
			if !ok {
				continue
			}
			if s.exitNotify() > 0 && h.boot.prof.ServesUDP() {
				s.farewell(ctx, h)
			}
			return stop
		case <-sig.Statistics():
			lines, _ := s.Status(0)
			for _, l := range lines {
				s.logLine("", logging.Info, "%s", l)
			}
		case err := <-broken:
			s.logLine("", logging.Error, "%v", err)
			return engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonTunStop, Err: err}
		case <-ctx.Done():
			return engine.Stop{Signal: engine.TERM}
		}
	}
}

// A server that has sent its clients away looks every exitLook whether they know, sends it once more to the others after exitRepeat, and
// stays exitPause at most. A stock client acknowledges nothing and knocks again after a second.
const (
	exitLook   = 50 * time.Millisecond
	exitRepeat = 250 * time.Millisecond
	exitPause  = 600 * time.Millisecond
)

// farewell sends the clients away, to reconnect or to try the next remote, and stays until all of them have acknowledged it: a server
// that is started again then listens before they are back.
func (s *Server) farewell(ctx context.Context, h *hub) {
	msg := "RESTART"
	if s.exitNotify() == 2 {
		msg = "RESTART,[N]"
	}
	var waiting []*instance // of the hub's goroutine
	h.call(ctx, func(h *hub) {
		now := time.Now()
		h.leaving, h.goodbye = now, msg
		h.publish()
		for _, i := range h.instances {
			if i.stage >= session.Authorised || i.session.Login() != 0 && !i.session.Busy() {
				h.text(i, msg, now)
				waiting = append(waiting, i)
			}
		}
	})
	began, repeated := time.Now(), false
	for known := false; !known && time.Since(began) < exitPause; {
		select {
		case <-time.After(exitLook):
		case <-ctx.Done():
			return
		}
		again := !repeated && time.Since(began) >= exitRepeat
		repeated = repeated || again
		h.call(ctx, func(h *hub) {
			waiting = slices.DeleteFunc(waiting, func(i *instance) bool { return i.stage == session.Gone || i.session.Delivered() })
			known = len(waiting) == 0
			for _, i := range waiting {
				if again {
					i.session.Repeat(time.Now())
					h.step(i, time.Now())
				}
			}
		})
	}
}

// entrance holds what the receivers of all links share.
type entrance struct {
	*plane
	arrivals
	other *share // nil without port-share
}

// inbound makes the receiver of a link, with a preHandshake of its own.
func (e *entrance) inbound(l transport.Link, stream bool) *inbound {
	d := &preHandshake{
		proto: ctrlwrap.NewPrototype(e.boot.wrap), cookies: e.cookies, answers: e.answers, regulars: e.regulars, force: e.boot.prof.TLSCryptV2ForceCookie,
		stream: stream, admit: e.admit, unverified: func(from transport.Peer, err error) { e.unverified(stream, from, err) },
		refuses: func(f ctrlwrap.First, from transport.Peer, now time.Time) string {
			return e.gate.Load().refuses(&f, e.boot.outer(from), false, now)
		},
		senseless: e.senseless,
		refused: func(from transport.Peer, why string) {
			e.limitedLog(from.Addr.Addr(), e.boot.outer(from).String(), logging.Error, "%s", why)
		},
	}
	return &inbound{plane: e.plane, link: l, longest: e.boot.prof.MaxFrame(), unknown: d.handle}
}

// unverified logs a packet from an unknown address that failed verification, on a stream with the address in front.
func (e *entrance) unverified(stream bool, from transport.Peer, err error) {
	if e.boot.wrap.Plain() {
		return
	}
	prefix := ""
	if stream {
		prefix = e.boot.outer(from).String()
	}
	for _, line := range engine.UnwrapLines(err, e.boot.wrapping(), e.boot.fullAddress(from)) {
		e.limitedLog(from.Addr.Addr(), prefix, logging.Info, "%s", line)
	}
}

// senseless logs that a stream is closed because of its first packet.
func (e *entrance) senseless(from transport.Peer, why string) {
	text := e.boot.outer(from).String()
	if why != noPacket || e.boot.wrap.Plain() { // of others unverified has told
		e.limitedLog(from.Addr.Addr(), text, logging.Info, "TLS Error: %s from %s", why, e.boot.fullAddress(from))
	}
	e.limitedLog(from.Addr.Addr(), text, logging.Error, "Fatal TLS error (check_tls_errors_co), restarting")
	e.limitedLog(from.Addr.Addr(), text, logging.Steps, restarting, mgmt.ReasonTLSError)
}

// acceptStreams takes TCP connections and gives each a receiver.
func (e *entrance) acceptStreams(ctx context.Context, ln *transport.Listener, wg *sync.WaitGroup) error {
	for {
		l, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			e.limitedLog(netip.Addr{}, "", logging.Error, "accept: %v", err)
			select {
			case <-time.After(100 * time.Millisecond): // out of descriptors, most likely
			case <-e.gone:
				return nil
			}
			continue
		}
		if !e.streams.add(l) {
			e.limitedLog(l.RemoteAddr().Addr(), "", logging.Info, "TCP connection from %s refused: there are too many", e.boot.fullAddress(l.Peer()))
			_ = l.Close()
			continue
		}
		e.linesAbout(l.RemoteAddr().Addr(), logging.Info, "TCP connection established with %s", e.boot.fullAddress(l.Peer()))
		wg.Go(func() {
			defer l.Close()
			defer e.streams.remove(l)
			_ = l.SetReadDeadline(time.Now().Add(e.boot.HandWindow)) // until there is an instance
			if e.other != nil && e.other.foreign(l) {
				e.streams.remove(l) // it takes no place of a client
				e.other.serve(ctx, l)
				return
			}
			_, err := l.Peek(1) // a silent connection takes no buffers
			if err == nil {
				err = e.inbound(l, true).run()
			}
			e.streamEnded(ctx, l, err)
		})
	}
}

// streamEnded removes the client of a connection that is gone. It returns when the hub has answered what came before the end.
func (e *entrance) streamEnded(ctx context.Context, l *transport.TCPLink, err error) {
	peer := l.Peer()
	lost := func(name string) {
		transport.LogLost(err, func(lv logging.Level, format string, args ...any) {
			e.limitedLog(peer.Addr.Addr(), name, lv, format, args...)
		})
		e.limitedLog(peer.Addr.Addr(), name, logging.Steps, restarting, mgmt.ReasonConnectionReset)
	}
	nonsense := errors.Is(err, transport.ErrFrame)
	if nonsense && l.Stats().RecvPackets.Load() == 0 {
		lost(e.boot.outer(peer).String())
		return
	}
	e.call(ctx, func(h *hub) {
		if nonsense { // behind a good packet, which may still be on its way to the hub
			for n := range h.waiting {
				h.newcomer(n, time.Now())
			}
			if h.at(peer) == nil {
				lost(e.boot.outer(peer).String())
			}
		}
		i := h.at(peer)
		if i == nil || i.link != l || i.stage == session.Gone {
			return
		}
		if i.session.Leaving() == session.SaidGoodbye {
			h.finish(i, "delayed-exit")
			return
		}
		transport.LogLost(err, func(lv logging.Level, format string, args ...any) { h.log(i, lv, format, args...) })
		h.end(i, mgmt.ReasonConnectionReset)
	})
}
