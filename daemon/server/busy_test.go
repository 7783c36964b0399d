package server

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
)

// endings notes which clients a fleet was told are gone.
type endings struct {
	Fleet
	ids []uint64
}

func (e *endings) End(id uint64, _ bool) { e.ids = append(e.ids, id) }

// busy is longer than a hub may ever take for one thing.
const busy = time.Minute

// A hub that is busy for long is no reason to take a client for gone, or a drain for over.
func TestFleetWaitsForABusyHub(t *testing.T) {
	for name, act := range map[string]func(s *Server){
		"drain":       func(s *Server) { s.Drain(context.Background(), time.Hour) },
		"end clients": func(s *Server) { s.EndForFleet([]Ending{{ID: 7, Why: fleet.Moved}}) },
	} {
		for _, stops := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and it stops"}[stops], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					told := new(endings)
					s := &Server{base: base{deps: Deps{Fleet: told}}}
					s.opts.Store(&config.Options{})
					h := newBareHub(&s.base, s.opts.Load())
					i := &instance{}
					i.session, i.stage = new(session.Session), session.Authorised
					h.instances[1] = i
					s.live.Store(h.inbox)
					began := time.Now()
					go busyHub(h, stops, func() { delete(h.instances, 1) })
					act(s)
					if took := time.Since(began); took < busy {
						t.Errorf("it was over after %v, before the hub knew of it", took)
					}
					if name != "drain" && (len(told.ids) != 1 || told.ids[0] != 7) {
						t.Errorf("the fleet was told that %v are gone, want 7", told.ids)
					}
					if !stops {
						close(h.gone)
					}
				})
			})
		}
	}
}

// busyHub does nothing for long, and then stops, or does what waits.
func busyHub(h *hub, stops bool, first func()) {
	time.Sleep(busy)
	if stops {
		close(h.gone)
		return
	}
	first()
	for {
		select {
		case f := <-h.calls:
			f(h)
		case <-h.gone:
			return
		}
	}
}

// A command of the port says what became of it, however busy the hub is: none is answered before, and done later.
func TestCommandsWaitForABusyHub(t *testing.T) {
	at := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4000")}
	for name, tt := range map[string]struct {
		act  func(s *Server) (done bool)
		ends bool // the client
	}{
		"status":       {act: func(s *Server) bool { return len(s.snapshot().clients) == 1 }},
		"load-stats":   {act: func(s *Server) bool { return s.Clients() == 1 }},
		"bytecount":    {act: func(s *Server) (ok bool) { s.Traffic(func(uint64, mgmt.ByteCount) { ok = true }); return ok }},
		"kill NAME":    {act: func(s *Server) bool { return s.KillName("alice") == 1 }, ends: true},
		"kill ADDRESS": {act: func(s *Server) bool { return s.KillAddr(at.Addr, "") == 1 }, ends: true},
		"client-kill":  {act: func(s *Server) bool { return s.ClientKill(0, "") }},
		"client-auth":  {act: func(s *Server) bool { return s.ClientAuth(0, 0, nil) != nil }}, // key 0 counts as known
		"push-update": {act: func(s *Server) bool {
			_, err := s.PushUpdate(0, true, "route 10.0.0.0 255.0.0.0")
			return err == errUpdateNone
		}},
		"fleet's order": {act: func(s *Server) bool { s.EndForFleet([]Ending{{ID: 0, Why: fleet.Killed}}); return true }, ends: true},
	} {
		for _, stops := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and it stops"}[stops], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, add := streamHub(t)
					h.base.deps.Fleet = new(endings)
					s := &Server{base: base{deps: h.deps, port: h.port, total: h.total}}
					s.opts.Store(h.set.Options)
					i := add(newAir().listen(), at)
					i.commonName, i.stage = "alice", session.Established
					h.established, h.clients = 1, 1
					h.names.add(i)
					s.live.Store(h.inbox)
					began := time.Now()
					go busyHub(h, stops, func() {})
					done := tt.act(s)
					if took := time.Since(began); took < busy {
						t.Errorf("it was answered after %v, before the hub knew of it", took)
					}
					gone := i.stage == session.Gone
					if want := !stops || name == "fleet's order"; done != want {
						t.Errorf("it reports %v, want %v", done, want)
					}
					if want := tt.ends && !stops; gone != want {
						t.Errorf("the client is gone: %v, want %v", gone, want)
					}
					for len(h.calls) > 0 {
						(<-h.calls)(h)
					}
					if gone != (i.stage == session.Gone) {
						t.Error("the client ended after the answer")
					}
					h.reaper.Wait()
					if !stops {
						close(h.gone)
					}
				})
			})
		}
	}
}

// What is given up before the hub comes to it does not run any more; what the hub has begun is waited for.
func TestCallsThatAreGivenUp(t *testing.T) {
	for _, begun := range []bool{false, true} {
		t.Run(map[bool]string{false: "waiting", true: "begun"}[begun], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, ran := newInbox(), false
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				go func() {
					if !begun {
						time.Sleep(busy)
					}
					(<-in.calls)(nil)
				}()
				did := in.call(ctx, func(*hub) { time.Sleep(busy); ran = true })
				if did != begun || ran != begun {
					t.Errorf("call reports %v, and the function ran: %v", did, ran)
				}
				time.Sleep(3 * busy)
				if ran != begun {
					t.Error("it ran after it was given up")
				}
			})
		})
	}
}
