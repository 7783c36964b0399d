package server

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// sweep looks at every instance once a second: keepalives, silence, limits of keys.
func (h *hub) sweep(now time.Time) {
	tokens := h.set.tokens()
	for _, i := range h.instances {
		h.checkTimers(i, now)
		if i.stage != session.Established {
			continue
		}
		h.keyLimits(i, now)
		h.testMTU(i, now)
		if i.session.Leaving() == session.Stays && i.token.due(tokens, now) {
			h.freshToken(i, tokens, now)
		}
	}
	h.lastSweep(now)
	if h.swept.crowdIsIn() {
		h.reaper.Go(debug.FreeOSMemory)
	}
}

// swept remembers the last sweeps.
type swept struct {
	pool, stale, lost time.Time // when each was done last
	handshakes        int       // since memory was given back
	before            int       // handshakes as of the last sweep
}

// crowdSize is how many handshakes leave so much garbage behind that it is worth giving back.
const crowdSize = 32

// crowdIsIn reports whether a crowd has come in and no more are coming. It is time to give memory back to the system then:
// what handshakes needed is a multiple of what sessions keep, and a server that is not busy would hold on to it for minutes.
func (s *swept) crowdIsIn() bool {
	quiet := s.handshakes == s.before
	s.before = s.handshakes
	if !quiet || s.handshakes < crowdSize {
		return false
	}
	s.handshakes, s.before = 0, 0
	return true
}

// limits are a client's timers.
func (s *setup) limits(i *instance) session.Limits {
	timers := s.Timers
	if i.config != nil {
		timers = i.config.Over(s.Timers)
	}
	l := engine.Timers(timers)
	l.PingExit, l.AfterFirst = 0, false // of clients only
	return l
}

// checkTimers ends a client that is silent or idle, or whose session is old enough, and keeps up a link that is silent.
func (h *hub) checkTimers(i *instance, now time.Time) {
	i.timers.Limits = h.set.limits(i)
	if err := errors.Join(i.offloaded.keep(&i.timers.Limits), i.offloaded.tick(&i.counts.Traffic, h.total, now)); err != nil {
		h.log(i, logging.Error, "%v", err)
		timeOver(h, i, engine.GoneBroken.End(&i.timers.Limits))
		return
	}
	due, _ := i.timers.Check(&i.counts.Traffic, now)
	if due == session.PingDue {
		h.ping(i, now)
	}
	if end, over := engine.EndOf(due); over {
		timeOver(h, i, end)
	}
}

// timeOver ends a client, and says why.
func timeOver(h *hub, i *instance, end engine.TimerEnd) {
	if i.stage == session.Gone {
		return
	}
	name := ""
	if end.Named {
		name = "[" + undef(i.commonName) + "] "
	}
	h.log(i, logging.Info, "%s%s", name, end.Line)
	if end.Signal == engine.USR1 {
		h.end(i, end.Reason)
	} else {
		h.finish(i, end.Reason)
	}
}

// keyLimits renews a key that has done enough.
func (h *hub) keyLimits(i *instance, now time.Time) {
	if i.session.RenewUsed(i.session.Terms().UsageLimit(h.set.RenegBytes, h.set.RenegPackets), now) {
		h.step(i, now)
	}
}

// lostLines is how often the log tells of lines that were left out.
const lostLines = 10 * time.Second

// lastSweep does what is due every now and then: pool file, old stations, lines that the log lost.
func (h *hub) lastSweep(now time.Time) {
	if now.Sub(h.swept.lost) >= lostLines {
		h.swept.lost = now
		h.tellLost()
	}
	if h.set.PoolPersistInterval > 0 && now.Sub(h.swept.pool) >= h.set.PoolPersistInterval {
		h.swept.pool = now
		h.pool.store(h.set)
	}
	if age := h.set.StaleRoutesAge; age > 0 && now.Sub(h.swept.stale) >= h.set.StaleRoutesInterval {
		h.swept.stale = now
		h.stale(h.set, age, now)
	}
}
