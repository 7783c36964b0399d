package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// endings notes which clients a fleet was told are gone.
type endings struct {
	Fleet
	ids []uint64
}

func (e *endings) End(id uint64, _ bool) { e.ids = append(e.ids, id) }

// A hub that is busy for longer than a command waits is no reason to take a client for gone, or a drain for over.
func TestFleetWaitsForABusyHub(t *testing.T) {
	const busy = 2 * callLimit
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
					go func() {
						time.Sleep(busy)
						if stops {
							close(h.gone)
							return
						}
						delete(h.instances, 1)
						for {
							select {
							case f := <-h.calls:
								f(h)
							case <-h.gone:
								return
							}
						}
					}()
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
