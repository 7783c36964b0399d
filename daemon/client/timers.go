package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// usageInterval is how often a key's use is compared with its limits.
const usageInterval = time.Second

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
	if !a.exit.until.IsZero() {
		due(a.exit.next)
		due(a.exit.until)
		return next
	}
	if !a.heard && a.session != nil && !a.opts.TLSServer && a.prof.ConnectTimeout > 0 && due(a.start.Add(a.prof.ConnectTimeout)) {
		a.c.log(logging.Info, "Server poll timeout, restarting")
		a.end(engine.USR1, mgmt.ReasonServerPoll)
		return now
	}
	due(a.pullTimers(now))
	due(a.sessionTimers(now))
	due(a.storeReplays(now))
	due(a.testMTU(now))
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
		a.c.log(logging.Error, "No reply from server to push requests in %ds", int(now.Sub(a.pull.Since())/time.Second))
		a.end(engine.USR1, mgmt.ReasonNoPushReply)
	case session.PullFirst:
		a.c.state(mgmt.State{Name: mgmt.StateGetConfig})
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
		a.sendPing(now)
		due, next = a.timers.Check(&a.traffic, now)
	}
	if end, over := engine.EndOf(due); over {
		name := ""
		if end.Named {
			name = a.prefix()
		}
		a.c.log(logging.Info, "%s%s", name, end.Line)
		a.end(end.Signal, end.Reason)
	}
	return next
}

func (a *attempt) sendPing(now time.Time) {
	pkt, err := a.channel.SealPing(nil, now)
	if err != nil {
		// Nothing to send with: count it as sent, so that the timer does not spin.
		a.traffic.Sent(now)
		return
	}
	a.send(pkt, now)
}

// testMTU goes on with mtu-test and returns when its next step is due.
func (a *attempt) testMTU(now time.Time) time.Time {
	pkts, line := a.mtuTest.Step(a.channel, now)
	if line != "" {
		a.c.log(logging.Info, "%s", line)
	}
	for _, pkt := range pkts {
		a.send(pkt, now)
	}
	return a.mtuTest.Due()
}

// answered takes an answer of the peer in the data channel.
func (a *attempt) answered(msg []byte) {
	for _, line := range a.mtuTest.Answer(a.channel, msg) {
		a.c.log(logging.Info, "%s", line)
	}
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

// checkUsage renews a key that has carried enough.
func (a *attempt) checkUsage(now time.Time) {
	most := session.Usage{Bytes: uint64(max(a.opts.RenegBytes, 0)), Packets: uint64(max(a.opts.RenegPackets, 0))}
	if a.session.RenewUsed(most, now) {
		a.usageAt = now.Add(a.opts.HandWindow / 2)
	}
}
