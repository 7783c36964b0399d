package server

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
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
	for _, l := range socks.udp {
		wg.Go(func() { report(h.inbound(l, false).run()) })
	}
	if socks.tcp != nil {
		wg.Go(func() { report(h.acceptStreams(ctx, socks.tcp, &wg)) })
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
			if s.exitNotify() > 0 && stop.Signal >= engine.TERM && h.boot.prof.Proto.IsUDP() {
				s.farewell(ctx, h)
			}
			return stop
		case <-sig.Statistics():
			lines, _ := s.Status(0)
			for _, l := range lines {
				s.logLine("", 1, "", "%s", l)
			}
		case err := <-broken:
			s.logLine("", 1, "N", "%v", err)
			return engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonTunStop, Err: err}
		case <-ctx.Done():
			return engine.Stop{Signal: engine.TERM}
		}
	}
}

// exitPause is how long a server stays after it told its clients to go.
const exitPause = 2 * time.Second

// farewell tells the clients that the server goes: to come back, or to try the next one.
func (s *Server) farewell(ctx context.Context, h *hub) {
	msg := "RESTART"
	if s.exitNotify() == 2 {
		msg = "RESTART,[N]"
	}
	h.call(ctx, func() {
		now := time.Now()
		h.leaving = now
		for _, i := range h.instances {
			if i.phase == established {
				h.text(i, msg, now)
			}
		}
	})
	select {
	case <-time.After(exitPause):
	case <-ctx.Done():
	}
}

// inbound makes the receiver of a link, with a doorkeeper of its own.
func (h *hub) inbound(l transport.Link, stream bool) *inbound {
	d := &doorkeeper{
		proto: ctrlwrap.NewPrototype(h.boot.wrap), cookies: h.cookies, answers: h.answers, force: h.boot.prof.TLSCryptV2ForceCookie,
		stream: stream, admit: h.plane.admit, note: h.stranger,
	}
	return &inbound{plane: h.plane, link: l, strange: d.strange}
}

// stranger counts a packet of nobody that did not verify.
func (h *hub) stranger(from transport.Peer, err error) {
	text := realAddress(from.Addr)
	switch {
	case h.boot.wrap.TLSCrypt != nil || h.boot.wrap.WrapKey != nil:
		h.limitedLog(text, 1, "", "tls-crypt unwrap error: %v", err)
		h.limitedLog(text, 1, "", "TLS Error: tls-crypt unwrapping failed from %s", h.set.fullAddress(from))
	case h.boot.wrap.TLSAuthKey != nil:
		h.limitedLog(text, 1, "", "Authenticate/Decrypt packet error: packet HMAC authentication failed")
		h.limitedLog(text, 1, "", "TLS Error: incoming packet authentication failed from %s", h.set.fullAddress(from))
	}
}

// streamGreeting is how long a TCP connection may stay silent before its first packet.
const streamGreeting = 60 * time.Second

// acceptStreams takes TCP connections and gives each a receiver.
func (h *hub) acceptStreams(ctx context.Context, ln *transport.Listener, wg *sync.WaitGroup) error {
	other := newShare(h.boot, func(verb int, flag, format string, args ...any) { h.limitedLog("", verb, flag, format, args...) })
	if other != nil {
		h.logLine("", 1, "I", "PORT SHARE PROXY: proxy starting")
		defer h.logLine("", 1, "I", "PORT SHARE PROXY: proxy exiting")
	}
	for {
		l, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			h.limitedLog("", 1, "N", "accept: %v", err)
			select {
			case <-time.After(100 * time.Millisecond): // out of descriptors, most likely
			case <-h.gone:
				return nil
			}
			continue
		}
		if !h.streams.room(2*h.boot.MaxClients + spareStreams) {
			h.limitedLog("", 1, "", "TCP connection from %s refused: there are too many", h.set.fullAddress(transport.Peer{Addr: l.RemoteAddr()}))
			_ = l.Close()
			continue
		}
		h.logLine("", 1, "I", "TCP connection established with %s", h.set.fullAddress(transport.Peer{Addr: l.RemoteAddr()}))
		h.streams.add(l)
		wg.Go(func() {
			defer h.streams.remove(l)
			defer l.Close()
			_ = l.SetReadDeadline(time.Now().Add(streamGreeting)) // until there is an instance
			if other != nil && other.redirected(ctx, l) {
				return
			}
			err := h.inbound(l, true).run()
			h.streamEnded(l, err)
		})
	}
}

// streamEnded removes the client of a connection that is gone.
func (h *hub) streamEnded(l transport.Link, err error) {
	peer := transport.Peer{Addr: l.RemoteAddr()}
	h.post(func() {
		i := h.table.byPeer(peer)
		if i == nil || i.link != l || i.phase == gone {
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			h.log(i, 1, "N", "%v", err)
		}
		if i.farewell {
			h.finish(i, "delayed-exit")
			return
		}
		h.log(i, 1, "", "Connection reset, restarting [0]")
		h.end(i, mgmt.ReasonConnectionReset)
	})
}

// streams are the open TCP connections, so that all can be closed at the end.
type streams struct {
	mu   sync.Mutex // guards open
	open map[transport.Link]struct{}
}

// spareStreams are connections beyond twice max-clients: who has one but is not a client yet is let go after streamGreeting.
const spareStreams = 64

// room reports whether there are fewer than limit.
func (s *streams) room(limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) < limit
}

func (s *streams) add(l transport.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[transport.Link]struct{})
	}
	s.open[l] = struct{}{}
}

func (s *streams) remove(l transport.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
}

func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.open {
		_ = l.Close()
	}
}

// shutdown removes every client. The hub's goroutine is over.
func (h *hub) shutdown() {
	list := make([]*instance, 0, len(h.instances))
	for _, i := range h.instances {
		list = append(list, i)
	}
	for _, i := range inOrder(list) {
		h.remove(i)
	}
	h.streams.close()
	h.reaper.Wait()
	h.storePool()
}
