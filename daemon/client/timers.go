package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// checkTimers acts on everything that is due and returns when the next thing will be.
func (a *attempt) checkTimers(now time.Time) time.Time {
	next := now.Add(time.Minute)
	due := func(t time.Time) bool {
		if t.IsZero() {
			return false
		}
		if !now.Before(t) {
			return true
		}
		next = session.Earliest(next, t)
		return false
	}
	if a.exit.begun() {
		due(a.exit.next)
		due(a.exit.until)
		return next
	}
	if !a.their.heard && a.session != nil && !a.opts.TLSServer && a.prof.ConnectTimeout > 0 && due(a.start.Add(a.prof.ConnectTimeout)) {
		a.log(logging.Info, "Server poll timeout, restarting")
		a.end(engine.USR1, mgmt.ReasonServerPoll)
		return now
	}
	due(a.pullTimers(now))
	due(a.sessionTimers(now))
	due(a.received.store(&a.c.replays, a.wrap, now))
	due(a.testMTU(now))
	at, err := a.offloaded.tick(&a.traffic, a.c.totals, now)
	if due(at); err != nil {
		a.log(logging.Error, "%v", err)
		timeOver(a, engine.GoneBroken.End(&a.timers.Limits))
	}
	if !a.usageAt.IsZero() && due(a.usageAt) {
		a.usageAt = now.Add(usageInterval)
		a.checkUsage(now)
		due(a.usageAt)
	}
	return next
}

// pullTimers ask for the options, until the server has answered or its time is over.
func (a *attempt) pullTimers(now time.Time) (next time.Time) {
	due, next := a.pull.Check(now)
	switch due {
	case session.PullOverdue:
		a.log(logging.Error, "No reply from server to push requests in %ds", int(now.Sub(a.pull.Since())/time.Second))
		a.end(engine.USR1, mgmt.ReasonNoPushReply)
	case session.PullFirst:
		a.state(mgmt.State{Name: mgmt.StateGetConfig})
		a.sendText("PUSH_REQUEST")
	case session.PullAsk:
		a.sendText("PUSH_REQUEST")
	}
	return next
}

// sessionTimers send pings on an idle link, and end a tunnel whose peer is silent, that is not used, or that is old enough.
func (a *attempt) sessionTimers(now time.Time) (next time.Time) {
	due, next := a.timers.Check(&a.traffic, now)
	if due == session.PingDue {
		a.ping(now)
		due, next = a.timers.Check(&a.traffic, now)
	}
	if end, over := engine.EndOf(due); over {
		timeOver(a, end)
	}
	return next
}

// timeOver ends the attempt, and says why.
func timeOver(a *attempt, end engine.TimerEnd) {
	name := ""
	if end.Named {
		name = a.their.front()
	}
	a.log(logging.Info, "%s%s", name, end.Line)
	a.end(end.Signal, end.Reason)
}
