package server

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// stuck is a connection whose peer does not read: its end waits until release is closed.
type stuck struct {
	transport.Link
	from    transport.Peer
	closing *sync.WaitGroup
	release chan struct{}
}

func (s *stuck) Send(transport.Peer, [][]byte) error { return nil }
func (s *stuck) RemoteAddr() netip.AddrPort          { return s.from.Addr }
func (s *stuck) SetReadDeadline(time.Time) error     { return nil }

func (s *stuck) Close() error {
	s.closing.Done()
	<-s.release
	return nil
}

// streamHub is a hub of TCP clients without goroutines, and what adds one to it.
func streamHub(t *testing.T) (*hub, func(l transport.Link, from transport.Peer) *instance) {
	t.Helper()
	o := new(config.Options)
	o.MaxClients, o.HandWindow, o.Verb = 8, time.Minute, 4
	text := new(daemontest.Log)
	b := &base{deps: Deps{Log: logging.New(logging.Config{Stdout: text, Stderr: text, Verb: 4})}, port: new(portLog)}
	b.opts.Store(o)
	b.env.Store(hooks.NewEnv())
	h := newBareHub(b, o)
	h.streams = newStreams(o.MaxClients, false)
	h.plane.table, h.plane.routes = h.table, h.routes
	return h, func(l transport.Link, from transport.Peer) *instance {
		t.Helper()
		i, err := h.newInstance(newcomer{link: l, from: from}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		i.session.Close()
		if i.session, err = session.New(session.Config{Config: control.Config{Role: keys.Server, TLS: new(tls.Config), Wrap: ctrlwrap.NewPlain()}}, time.Now()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.session.Close)
		if !h.table.add(i) {
			t.Fatal("no room")
		}
		return i
	}
}

// TCP peers that do not read hold up neither the hub, when their sessions end or are turned away, nor each other when the server
// ends.
func TestStreamsThatAreNotRead(t *testing.T) {
	const many = 5
	for _, tt := range []struct {
		name string
		end  func(h *hub, all []*instance)
	}{
		{"sessions that end", func(h *hub, all []*instance) {
			for _, i := range all {
				h.end(i, "ping-restart")
			}
		}},
		{"newcomers that are turned away", func(h *hub, all []*instance) {
			for _, i := range all {
				h.reaper.hangUp(i.link)
			}
		}},
		{"the end of the server", func(h *hub, all []*instance) {
			go h.streams.close() // it waits for all of them
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, add := streamHub(t)
			var closing sync.WaitGroup
			release := make(chan struct{})
			var all []*instance
			for n := range many {
				from := transport.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(n+1))}
				l := &stuck{from: from, closing: &closing, release: release}
				if !h.streams.add(l) {
					t.Fatal("no room for a connection")
				}
				all = append(all, add(l, from))
			}
			closing.Add(many)
			done := make(chan struct{})
			go func() {
				defer close(done)
				tt.end(h, all)
				closing.Wait()
			}()
			select {
			case <-done:
			case <-time.After(15 * time.Second):
				t.Error("one connection waits for the end of another, and the hub for both")
			}
			close(release)
			<-done
			h.reaper.Wait()
			closing.Add(many) // those that the hub does not end itself
			h.streams.close()
			if h.streams.add(&stuck{}) {
				t.Error("a server that has ended takes another connection")
			}
		})
	}
}

// A client that comes back from the same port is served, however late the hub hears that its connection before has ended.
func TestStreamFromTheSamePort(t *testing.T) {
	h, add := streamHub(t)
	from := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1194")}
	var closing sync.WaitGroup
	release := make(chan struct{})
	close(release)
	older, newer := &stuck{from: from, closing: &closing, release: release}, &stuck{from: from, closing: &closing, release: release}
	closing.Add(1)
	i := add(older, from)
	pkt := (&wire.ControlBody{MsgID: 0}).Append(append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0)}, clientSession[:]...), wire.OpControlHardResetClientV2)

	var heard []byte
	in := &inbound{plane: h.plane, link: newer, longest: 1500, unknown: func(_ transport.Link, _ transport.Peer, pkt []byte, _ time.Time) { heard = pkt }}
	in.batch(&transport.Batch{Peer: from, Packets: [][]byte{pkt}})
	if len(heard) == 0 {
		t.Error("the session of the connection before gets the first packet of the next")
	}
	h.newcomer(newcomer{link: newer, from: from, follows: true, packet: pkt}, time.Now())
	if i.stage != session.Gone {
		t.Error("the session of the connection before stays in the way")
	}
	h.reaper.Wait()
}

// A control packet that is longer than any peer sends goes no further: a session would keep a window of them.
func TestLongControlPackets(t *testing.T) {
	h, add := streamHub(t)
	from := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:1194")}
	link := &near{}
	add(link, from)
	in := &inbound{plane: h.plane, link: link, longest: 1800}
	for _, size := range []int{14, 1800, 1801, 60_000} {
		before := len(h.packets)
		pkt := make([]byte, size)
		pkt[0] = wire.Header(wire.OpControlV1, 0)
		in.batch(&transport.Batch{Peer: from, Packets: [][]byte{pkt}})
		if got, want := len(h.packets) > before, size <= in.longest; got != want {
			t.Errorf("a control packet of %d bytes reaches the hub: %v", size, got)
		}
	}
}
