package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// farewell is the time between a signal and the end, in which the peer hears that we leave (explicit-exit-notify).
type farewell struct {
	until, next time.Time
	left        int // notifications
}

// begin starts n notifications, one a second.
func (f *farewell) begin(n int, now time.Time) {
	f.left, f.next, f.until = n, now, now.Add(time.Duration(n)*time.Second)
}

func (f *farewell) begun() bool { return !f.until.IsZero() }

// signalled acts on a pending signal.
func (a *attempt) signalled(now time.Time) {
	stop, ok := a.c.sig.Take()
	if !ok {
		return
	}
	if n := a.prof.ExplicitExitNotify; n > 0 && a.stage == session.Established && !a.exit.begun() &&
		stop.Source == engine.Hard && stop.Reason == "" && stop.Signal >= engine.TERM {
		a.log(logging.Info, "%s received, sending exit notification to peer", stop.Signal)
		a.exit.begin(n, now)
		a.stopWith(engine.Stop{Signal: stop.Signal, Source: engine.Soft, Reason: mgmt.ReasonExitNotification})
		return
	}
	if a.exit.begun() && stop.Signal < engine.TERM {
		a.log(logging.Info, "Ignoring %s received during exit notification", stop.Signal)
		return
	}
	a.exit = farewell{}
	a.stop = &stop
}

// leaving sends exit notifications and reports whether the attempt has to stay for them.
func (a *attempt) leaving(now time.Time) bool {
	f := &a.exit
	if !f.begun() || !now.Before(f.until) {
		return false
	}
	if f.left > 0 && !now.Before(f.next) {
		if a.terms.CCExit {
			a.sendText("EXIT") // once: the reliable layer repeats it
			f.left = 0
		} else {
			a.sayExit(now)
			f.left--
			f.next = now.Add(time.Second)
		}
		a.flush(now)
	}
	return true
}
