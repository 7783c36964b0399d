package server

import (
	"cmp"
	"runtime/debug"
	"time"
)

// sweep looks at every instance once a second: keepalives, silence, limits of keys, verdicts that do not come.
func (h *hub) sweep(now time.Time) {
	for _, i := range h.instances {
		h.overdue(i, now)
		if i.phase == gone {
			continue
		}
		if h.silent(i, now) || h.idle(i, now) {
			continue
		}
		if i.phase != established {
			continue
		}
		h.keepalive(i, now)
		h.keyLimits(i, now)
		if h.set.AuthTokenRenewal > 0 && i.closeAt.IsZero() && now.Sub(i.tokenSince) >= h.set.AuthTokenRenewal {
			h.freshToken(i, now)
		}
	}
	h.lastSweep(now)
	h.tidy()
}

// crowdSize is how many handshakes leave so much garbage behind that it is worth giving back.
const crowdSize = 32

// tidy gives memory back to the system when a crowd has come in: what its handshakes needed is a multiple of what its
// sessions keep, and a server that is not busy would hold on to it for minutes.
func (h *hub) tidy() {
	fresh := h.handshakes - h.swept.handshakes
	h.swept.handshakes = h.handshakes
	if fresh == 0 && h.handshakes >= crowdSize {
		h.handshakes, h.swept.handshakes = 0, 0
		h.reaper.Go(debug.FreeOSMemory)
	}
}

// timers are what ends a client that does nothing, and what keeps it: zero for what is not wanted.
type timers struct {
	ping, pingRestart, inactive, session time.Duration
	inactiveBytes                        int64
}

// timers are a client's own, each in the place of the server's.
func (h *hub) timers(i *instance) timers {
	t := timers{h.set.Ping, h.set.PingRestart, h.set.Inactive, h.set.SessionTimeout, h.set.InactiveBytes}
	if own := i.config; own != nil {
		t.ping = cmp.Or(own.Ping, t.ping)
		t.pingRestart = cmp.Or(own.PingRestart, t.pingRestart)
		t.session = cmp.Or(own.SessionTimeout, t.session)
		if own.Inactive > 0 {
			t.inactive, t.inactiveBytes = own.Inactive, own.InactiveBytes
		}
	}
	return t
}

// silent ends a client that was not heard of for ping-restart.
func (h *hub) silent(i *instance, now time.Time) bool {
	limit := h.timers(i).pingRestart
	if limit <= 0 || now.Sub(time.Unix(i.counts.lastIn.Load(), 0)) < limit {
		return false
	}
	h.log(i, 1, "I", "[%s] Inactivity timeout (--ping-restart), restarting", undef(i.commonName))
	h.end(i, "ping-restart")
	return true
}

// idle ends a client that does not use its tunnel, or whose session is old enough.
func (h *hub) idle(i *instance, now time.Time) bool {
	t := h.timers(i)
	if t.session > 0 && now.Sub(i.since) >= t.session {
		h.log(i, 1, "I", "Session timeout, exiting")
		h.finish(i, "session-timeout")
		return true
	}
	if t.inactive <= 0 || i.phase != established || now.Sub(i.markAt) < t.inactive {
		return false
	}
	bytes := i.counts.tunIn.Load() + i.counts.tunOut.Load()
	if int64(bytes-i.mark) <= t.inactiveBytes {
		h.log(i, 1, "I", "Inactivity timeout (--inactive), exiting")
		h.finish(i, "inactive")
		return true
	}
	i.mark, i.markAt = bytes, now
	return false
}

// finish removes an instance with the log line of an end.
func (h *hub) finish(i *instance, reason string) {
	h.log(i, 3, "", "SIGTERM[soft,%s] received, client-instance exiting", reason)
	h.remove(i)
}

// keepalive sends a ping when nothing else was sent for a while.
func (h *hub) keepalive(i *instance, now time.Time) {
	every := h.timers(i).ping
	ch := i.tunnel.Load()
	if every <= 0 || ch == nil || now.Sub(time.Unix(i.counts.lastOut.Load(), 0)) < every {
		return
	}
	pkt, err := ch.SealPing(nil, now)
	if err != nil {
		return
	}
	h.out[0] = pkt
	if err := i.link.Send(*i.peer.Load(), h.out[:]); err != nil {
		h.plane.notice(err)
	}
	h.total.Out.Add(uint64(len(pkt)))
	i.sent(len(pkt), now)
}

// keyLimits renews a key that has done enough.
func (h *hub) keyLimits(i *instance, now time.Time) {
	ch := i.tunnel.Load()
	if ch == nil || i.session.Busy() {
		return
	}
	use, ok := ch.PrimaryUsage()
	if !ok {
		return
	}
	bytes, pkts := h.set.RenegBytes, h.set.RenegPackets
	if use.Renegotiate || bytes > 0 && use.Bytes() >= uint64(bytes) || pkts > 0 && use.Packets() >= uint64(pkts) {
		if err := i.session.Renegotiate(now); err == nil {
			h.step(i, now)
		}
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
		h.storePool()
	}
	if age := h.set.StaleRoutesAge; age > 0 && now.Sub(h.swept.stale) >= h.set.StaleRoutesInterval {
		h.swept.stale = now
		h.stale(age, now)
	}
}
