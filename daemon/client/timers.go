package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Intervals without an option of their own.
const (
	pushInterval  = 5 * time.Second // between push requests
	usageInterval = time.Second     // how often a key's use is compared with its limits
)

// timers acts on everything that is due and returns when the next thing will be.
func (a *attempt) timers(now time.Time) time.Time {
	next := now.Add(time.Minute)
	due := func(t time.Time) bool {
		if t.IsZero() {
			return false
		}
		if !now.Before(t) {
			return true
		}
		next = earliest(next, t)
		return false
	}
	if !a.exit.until.IsZero() {
		due(a.exit.next)
		due(a.exit.until)
		return next
	}
	if !a.heard && a.session != nil && !a.opts.TLSServer && a.prof.ConnectTimeout > 0 && due(a.start.Add(a.prof.ConnectTimeout)) {
		a.c.log(1, "", "Server poll timeout, restarting")
		a.end(engine.USR1, mgmt.ReasonServerPoll)
		return now
	}
	if a.trusted && a.opts.Pull && !a.push.done {
		a.pushTimers(now, due)
	}
	a.pingTimers(now, due)
	if a.connected {
		a.sessionTimers(now, due)
	}
	if !a.usageAt.IsZero() && due(a.usageAt) {
		a.usageAt = now.Add(usageInterval)
		a.checkUsage(now)
		due(a.usageAt)
	}
	return next
}

func (a *attempt) pushTimers(now time.Time, due func(time.Time) bool) {
	if due(a.push.deadline) {
		a.c.log(1, "N", "No reply from server to push requests in %ds", int(now.Sub(a.key.born)/time.Second))
		a.end(engine.USR1, mgmt.ReasonNoPushReply)
		return
	}
	if due(a.push.next) {
		if !a.push.asked {
			a.push.asked = true
			a.c.state(mgmt.State{Name: mgmt.StateGetConfig})
		}
		a.sendText("PUSH_REQUEST")
		a.push.next = now.Add(pushInterval)
		due(a.push.next)
	}
}

// pingTimers sends keepalives on an idle link and notices a silent peer.
func (a *attempt) pingTimers(now time.Time, due func(time.Time) bool) {
	if a.ping.send > 0 && a.channel != nil && a.channel.Ready() {
		if due(time.Unix(0, a.traffic.lastSent.Load()).Add(a.ping.send)) {
			a.sendPing(now)
			due(now.Add(a.ping.send))
		}
	}
	if a.ping.timeout <= 0 || a.opts.PingTimerRem && !a.heard {
		return
	}
	last := a.start
	if n := a.traffic.lastRecv.Load(); n != 0 {
		last = time.Unix(0, n)
	}
	if !due(last.Add(a.ping.timeout)) {
		return
	}
	if a.ping.exits {
		a.c.log(1, "I", "%sInactivity timeout (--ping-exit), exiting", a.prefix())
		a.end(engine.TERM, mgmt.ReasonPingExit)
		return
	}
	a.c.log(1, "I", "%sInactivity timeout (--ping-restart), restarting", a.prefix())
	a.end(engine.USR1, mgmt.ReasonPingRestart)
}

func (a *attempt) sendPing(now time.Time) {
	pkt, err := a.channel.SealPing(nil, now)
	if err != nil {
		// Nothing to send with: count it as sent, so that the timer does not spin.
		a.traffic.lastSent.Store(now.UnixNano())
		return
	}
	a.send(pkt, now)
}

// sendExit tells a peer without control channel notifications that we leave.
func (a *attempt) sendExit(now time.Time) {
	if a.channel == nil {
		return
	}
	if pkt, err := a.channel.SealExit(nil, now); err == nil {
		a.send(pkt, now)
	}
}

// sessionTimers end a tunnel that is not used, or that is old enough.
func (a *attempt) sessionTimers(now time.Time, due func(time.Time) bool) {
	if a.inactive.every > 0 && due(a.inactive.next) {
		moved := a.traffic.tunRead.Load() + a.traffic.tunWrite.Load()
		if moved-a.inactive.mark >= max(a.inactive.bytes, 1) {
			a.inactive.since, a.inactive.mark = now, moved
		}
		if now.Sub(a.inactive.since) >= a.inactive.every {
			a.c.log(1, "I", "Inactivity timeout (--inactive), exiting")
			a.end(engine.TERM, mgmt.ReasonInactive)
			return
		}
		a.inactive.next = now.Add(min(time.Second, a.inactive.since.Add(a.inactive.every).Sub(now)))
		due(a.inactive.next)
	}
	if a.opts.SessionTimeout > 0 && due(a.since.Add(a.opts.SessionTimeout)) {
		a.c.log(1, "I", "Session timeout, exiting")
		a.end(engine.TERM, mgmt.ReasonSessionTimeout)
	}
}

// checkUsage renews a key that has carried enough.
func (a *attempt) checkUsage(now time.Time) {
	if a.channel == nil {
		return
	}
	use, ok := a.channel.PrimaryUsage()
	if !ok {
		return
	}
	over := use.Renegotiate ||
		a.opts.RenegBytes > 0 && use.Bytes() >= uint64(a.opts.RenegBytes) ||
		a.opts.RenegPackets > 0 && use.Packets() >= uint64(a.opts.RenegPackets)
	if !over {
		return
	}
	if err := a.session.Renegotiate(now); err == nil {
		a.usageAt = now.Add(a.opts.HandWindow / 2)
	}
}
