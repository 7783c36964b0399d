package server

import (
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
		if h.set.AuthGenToken && i.tokenStart != (time.Time{}) && h.set.AuthTokenRenewal > 0 && i.closeAt.IsZero() && now.Sub(i.tokenSince) >= h.set.AuthTokenRenewal {
			h.text(i, "PUSH_REPLY,auth-token "+h.newToken(i, now), now)
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

// silent ends a client that was not heard of for ping-restart.
func (h *hub) silent(i *instance, now time.Time) bool {
	limit := h.set.PingRestart
	if i.config != nil && i.config.PingRestart > 0 {
		limit = i.config.PingRestart
	}
	if limit <= 0 || now.Sub(time.Unix(i.counts.lastIn.Load(), 0)) < limit {
		return false
	}
	h.log(i, 1, "I", "[%s] Inactivity timeout (--ping-restart), restarting", undef(i.commonName))
	h.end(i, "ping-restart")
	return true
}

// idle ends a client that does not use its tunnel, or whose session is old enough.
func (h *hub) idle(i *instance, now time.Time) bool {
	every, least, session := h.set.Inactive, h.set.InactiveBytes, h.set.SessionTimeout
	if i.config != nil && i.config.Inactive > 0 {
		every, least = i.config.Inactive, i.config.InactiveBytes
	}
	if i.config != nil && i.config.SessionTimeout > 0 {
		session = i.config.SessionTimeout
	}
	if session > 0 && now.Sub(i.since) >= session {
		h.log(i, 1, "I", "Session timeout, exiting")
		h.finish(i, "session-timeout")
		return true
	}
	if every <= 0 || i.phase != established || now.Sub(i.markAt) < every {
		return false
	}
	bytes := i.counts.tunIn.Load() + i.counts.tunOut.Load()
	if int64(bytes-i.mark) <= least {
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
	every := h.set.Ping
	if i.config.Ping > 0 {
		every = i.config.Ping
	}
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
