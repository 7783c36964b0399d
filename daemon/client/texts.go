package client

import (
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/mgmt"
)

// text handles one text message of the server.
func (a *attempt) text(msg string, now time.Time) {
	kind, arg := message.ParseText(msg)
	switch kind {
	case message.TextPushReply:
		a.pushReply(msg, arg)
	case message.TextAuthFailed:
		a.authFailed(arg)
	case message.TextAuthPending:
		a.authPending(arg, now)
	case message.TextInfoPre, message.TextInfo:
		a.port.InfoMsg(arg)
		a.log(logging.Steps, "Info command was pushed by server ('%s')", arg)
	case message.TextRestart:
		a.restartPushed(arg)
	case message.TextHalt:
		a.log(logging.Info, "Halt command was pushed by server ('%s')", arg)
		a.port.Notify("server-pushed-halt", arg)
		a.end(engine.TERM, mgmt.ReasonServerHalt)
	case message.TextExit:
		a.remoteExit("EXIT")
	case message.TextPushUpdate:
		a.pushUpdate(msg, arg)
	default:
		a.log(logging.Warn, "WARNING: Received unknown control message: %s", msg)
	}
}

// remoteExit is the peer's farewell, on the control channel or in the data channel.
func (a *attempt) remoteExit(how string) {
	if how == "EXIT" {
		a.log(logging.Info, "CC-EEN exit message received by peer")
	}
	a.port.Notify("remote-exit", "EXIT")
	a.end(engine.USR1, mgmt.ReasonRemoteExit)
}

// restartPushed is the server's wish that we connect again: to it, or with the flag N to the next one.
func (a *attempt) restartPushed(arg string) {
	a.log(logging.Info, "Connection reset command was pushed by server ('%s')", arg)
	a.port.Notify("server-pushed-connection-reset", arg)
	keep, next := message.ConnectionFlags(arg)
	if !keep {
		a.c.secrets.on((*credentials.Set).Reset)
	}
	a.c.remotes.stay = !next
	a.end(engine.USR1, mgmt.ReasonServerReset)
}

// authPending sets the limit for the server's options to what a further step gets.
func (a *attempt) authPending(arg string, now time.Time) {
	limit := a.opts.HandWindow
	if a.opts.RenegSec > 0 {
		limit = max(limit, a.opts.RenegSec/2)
	}
	wait := a.opts.HandWindow
	detail := ""
	for param := range strings.SplitSeq(arg, ",") {
		if t, ok := message.PendingTimeout(param); ok {
			wait, detail = t, arg
		} else if param != "" {
			a.log(logging.Steps, "ignoring AUTH_PENDING parameter: %s", param)
		}
	}
	wait = min(wait, limit)
	a.pull.Limit(now.Add(wait))
	a.state(mgmt.State{Name: mgmt.StateAuthPending, Detail: detail})
	a.log(logging.Steps, "AUTH_PENDING received, extending handshake timeout from %ds to %ds", int(a.opts.HandWindow.Seconds()), int(wait.Seconds()))
}

// authFailed is the server's refusal of our credentials.
func (a *attempt) authFailed(arg string) {
	f := message.ParseAuthFailed(arg)
	tail := ""
	if f.Reason != "" {
		tail = "," + f.Reason
	}
	a.log(logging.Always, "AUTH: Received control message: AUTH_FAILED%s", tail)
	a.record(journal.Event{Kind: journal.KindLogin, Verdict: journal.Refused, Reason: "AUTH_FAILED"}) // the server's text may be a challenge
	a.c.remotes.stay = true                                                                           // the credentials were wrong, not the server
	switch {
	case f.Temp:
		a.c.pauses.backoff = f.Backoff
		a.c.remotes.wish = f.Advance
		a.port.PasswordFailed("Auth", f.Reason)
		a.end(engine.USR1, mgmt.ReasonAuthTemp)
		return
	case a.c.secrets.refused(a.opts.AuthUserPass.Enabled):
		a.port.PasswordFailed("Auth", f.Reason)
		a.end(engine.USR1, mgmt.ReasonAuthToken)
		return
	}
	a.port.PasswordFailed("Auth", f.Reason)
	switch a.c.secrets.Retry() {
	case mgmt.AuthRetryInteract:
		a.c.challenge.Store(dynamicChallenge(f.Reason))
		a.end(engine.USR1, mgmt.ReasonAuthFailure)
	case mgmt.AuthRetryNoInteract:
		a.end(engine.USR1, mgmt.ReasonAuthFailure)
	default:
		a.end(engine.TERM, mgmt.ReasonAuthFailure)
	}
}
