package server

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// A step of the clock makes no station old and keeps none, and ends no client.
func TestClockSteps(t *testing.T) {
	start := time.Now()
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		o := new(config.Options)
		o.MaxClients, o.PingRestart = 4, time.Minute
		h := newBareHub(&base{deps: Deps{Log: logging.New(logging.Config{Stdout: io.Discard, Stderr: io.Discard})}, port: new(portLog)}, o)
		at := forward.EtherAddr{MAC: forward.MAC{2}}
		h.stations.Learn(at, &dataPath{}, 1, second(start))
		h.stale(h.set, time.Minute, clock.Stepped(start.Add(50*time.Second), step))
		if _, ok := h.stations.Lookup(at, second(start)); !ok {
			t.Errorf("step of %v: a station is forgotten after 50 s of 60", step)
		}
		h.stale(h.set, time.Minute, clock.Stepped(start.Add(61*time.Second), step))
		if _, ok := h.stations.Lookup(at, second(start)); ok {
			t.Errorf("step of %v: a station is not forgotten after 61 s", step)
		}

		i := &instance{}
		i.peer.Store(&transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4000")})
		i.session = new(session.Session)
		i.counts.Begin(start)
		h.checkTimers(i, clock.Stepped(start.Add(50*time.Second), step))
		if i.stage == session.Gone {
			t.Errorf("step of %v: a client is gone after 50 s of 60", step)
		}
	}
}

// What is printed is the wall time of now.
func TestWallTime(t *testing.T) {
	now := time.Now()
	for _, step := range []time.Duration{0, -time.Hour, time.Hour} {
		stepped := clock.Stepped(now, step)
		if got, want := wallTime(second(now)-5, stepped).Unix(), stepped.Unix()-5; got != want {
			t.Errorf("step of %v: %d, want %d", step, got, want)
		}
	}
}
