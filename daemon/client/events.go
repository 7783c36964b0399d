package client

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// events handles what the control session reports, in order, and tells whether there was anything.
func (a *attempt) events(now time.Time) (any bool) {
	for a.session != nil && (a.stop == nil || !a.exit.until.IsZero()) && !a.undecided() {
		e, ok := a.session.Event()
		if !ok {
			break
		}
		any = true
		a.event(e, now)
	}
	a.callerEvents(now)
	return any
}

func (a *attempt) event(e session.Event, now time.Time) {
	switch e := e.(type) {
	case control.InitialPacket:
		a.initialPacket()
	case control.NeedCredentials:
		a.needCredentials()
	case control.TLSUp:
		a.tlsUp(e)
	case session.KeyMessage:
		a.keyMessage(e)
		a.askFinal(&a.unsure)
	case control.Active:
		a.active(e, now)
	case control.Text:
		a.text(e.Text, now)
	case session.SoftReset:
		a.softReset(e)
	case session.Unusable:
		a.c.log(logging.Error, "TLS Error: %v", e.Err)
	case control.Failed:
		a.failed(e)
	}
}

// initialPacket is the first packet of the server's session.
func (a *attempt) initialPacket() {
	a.heard = true
	a.c.state(mgmt.State{Name: mgmt.StateAuth})
	sid := a.session.Peer().String()
	a.c.log(logging.Steps, "TLS: Initial packet from %s, sid=%s %s", transport.AddrText(a.peer.Addr), sid[:8], sid[8:])
	if a.opts.AuthUserPass.Enabled && !a.opts.AuthNocache {
		a.c.warnCaching()
	}
}

// needCredentials answers the session's wish for user name and password, now or when the answer to a prompt comes. A renewal that
// came to nothing meanwhile, and the next one, are no reason to ask again.
func (a *attempt) needCredentials() {
	if a.useCredentials() || a.asking {
		return
	}
	a.asking = true
	a.help(func(ctx context.Context) func() {
		err := a.c.AskCredentials(ctx)
		return func() {
			a.asking = false
			if err != nil {
				a.stopWith(fatal(err))
				return
			}
			a.useCredentials()
		}
	})
}

// useCredentials hands the known credentials to the session, false when there are none.
func (a *attempt) useCredentials() bool {
	user, pass, ok := a.c.secrets.login(a.opts.AuthUserPass.Enabled)
	if !ok {
		return false
	}
	a.session.SetCredentials(user, pass)
	a.c.secrets.on(func(s *credentials.Set) { s.Sent(a.opts.AuthNocache) })
	return true
}

// tlsUp is a finished TLS handshake.
func (a *attempt) tlsUp(e control.TLSUp) {
	a.secured = tlsconf.Describe(&e.State)
	if a.opts.Compat.LogsKeyAgreement() {
		a.secured = tlsconf.Describe27(&e.State, a.opts.TLSServer)
	}
	a.exportKeyingMaterial(e)
	a.exportAddress("untrusted") // again: the order of variables is that of stock
	if e.KeyID != 0 {
		return
	}
	if certs := e.State.PeerCertificates; len(certs) > 0 {
		a.serverCN = a.c.commonName(certs[0])
	}
}

// keyMessage is the server's half of the key exchange. What a peer says in it counts for the choice of ciphers.
func (a *attempt) keyMessage(e session.KeyMessage) {
	if e.KeyID == 0 {
		a.their.options, a.their.info = e.Message.Options, message.ParsePeerInfo(e.Message.PeerInfo)
		if a.opts.Pull {
			return
		}
		for _, line := range a.their.info.Lines {
			name, value, _ := strings.Cut(line, "=")
			a.c.env.Set(name, value)
		}
	}
}

// softReset is the beginning of a renewal.
func (a *attempt) softReset(e session.SoftReset) {
	if !e.ByPeer {
		a.c.log(logging.Steps, "TLS: soft reset sec=%d/%d bytes=%d/-1 pkts=%d/0", int(e.Age/time.Second),
			int(a.opts.RenegSec/time.Second), a.traffic.Opened.Load(), 0)
	}
}

// active is a key whose messages are all exchanged and acknowledged.
func (a *attempt) active(e control.Active, now time.Time) {
	a.c.totals.Handshakes.Add(1)
	a.c.log(logging.Summary, "Control Channel: %s", a.secured)
	if e.KeyID != 0 {
		a.record(journal.Event{Kind: journal.KindRenewal})
		return
	}
	a.stage.Reach(session.Authorised)
	a.trustPeer()
	if a.serverCN != "" {
		a.c.env.Set("common_name", a.serverCN)
	}
	a.c.log(logging.Info, "[%s] Peer Connection Initiated with %s", a.name(), transport.AddrText(a.peer.Addr))
	a.addressChanged()
	a.c.log(logging.Steps, "TLS: move_session: dest=TM_ACTIVE src=TM_INITIAL reinit_src=1")
	a.c.log(logging.Steps, "TLS: tls_multi_process: initial untrusted session promoted to trusted")
	if a.opts.Pull {
		a.pull.Start(now, a.opts.HandWindow)
		return
	}
	a.peerNegotiated()
}

// failed is a key negotiation that came to nothing. An older key keeps the tunnel up.
func (a *attempt) failed(e control.Failed) {
	var tlsErr *control.TLSError
	switch failed := &a.c.totals.Failed; {
	case errors.Is(e.Err, control.ErrHandWindow):
		failed.Timeout.Add(1)
	case errors.As(e.Err, &tlsErr):
		failed.TLS.Add(1)
	default:
		failed.Other.Add(1)
	}
	switch {
	case errors.Is(e.Err, control.ErrHandWindow):
		a.c.log(logging.Error, "TLS Error: TLS key negotiation failed to occur within %d seconds (check your network connectivity)", int(a.opts.HandWindow.Seconds()))
	case errors.As(e.Err, &tlsErr):
		a.c.log(logging.Error, "OpenSSL: %s", libraryText(tlsErr))
		a.c.log(logging.Error, "TLS_ERROR: BIO read tls_read_plaintext error")
		a.c.log(logging.Error, "TLS Error: TLS object -> incoming plaintext read error")
	default:
		a.c.log(logging.Error, "TLS Error: %v", e.Err)
	}
	a.c.log(logging.Error, "TLS Error: TLS handshake failed")
	if !e.Dead && a.stage >= session.Authorised {
		return
	}
	if a.opts.TLSExit {
		a.end(engine.TERM, mgmt.ReasonTLSError)
		return
	}
	a.end(engine.USR1, mgmt.ReasonTLSError)
}

// libraryText is the TLS library's error on one line.
func libraryText(err error) string {
	return "error: " + strings.ReplaceAll(strings.TrimPrefix(err.Error(), "tls: "), "\n", " ")
}

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
		a.c.port.InfoMsg(arg)
		a.c.log(logging.Steps, "Info command was pushed by server ('%s')", arg)
	case message.TextRestart:
		a.restartPushed(arg)
	case message.TextHalt:
		a.c.log(logging.Info, "Halt command was pushed by server ('%s')", arg)
		a.c.port.Notify("server-pushed-halt", arg)
		a.end(engine.TERM, mgmt.ReasonServerHalt)
	case message.TextExit:
		a.remoteExit("EXIT")
	case message.TextPushUpdate:
		a.pushUpdate(msg, arg)
	default:
		a.c.log(logging.Warn, "WARNING: Received unknown control message: %s", msg)
	}
}

// remoteExit is the peer's farewell, on the control channel or in the data channel.
func (a *attempt) remoteExit(how string) {
	if how == "EXIT" {
		a.c.log(logging.Info, "CC-EEN exit message received by peer")
	}
	a.c.port.Notify("remote-exit", "EXIT")
	a.end(engine.USR1, mgmt.ReasonRemoteExit)
}

// restartPushed is the server's wish that we connect again: to it, or with the flag N to the next one.
func (a *attempt) restartPushed(arg string) {
	a.c.log(logging.Info, "Connection reset command was pushed by server ('%s')", arg)
	a.c.port.Notify("server-pushed-connection-reset", arg)
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
			a.c.log(logging.Steps, "ignoring AUTH_PENDING parameter: %s", param)
		}
	}
	wait = min(wait, limit)
	a.pull.Limit(now.Add(wait))
	a.c.state(mgmt.State{Name: mgmt.StateAuthPending, Detail: detail})
	a.c.log(logging.Steps, "AUTH_PENDING received, extending handshake timeout from %ds to %ds", int(a.opts.HandWindow.Seconds()), int(wait.Seconds()))
}

// authFailed is the server's refusal of our credentials.
func (a *attempt) authFailed(arg string) {
	f := message.ParseAuthFailed(arg)
	tail := ""
	if f.Reason != "" {
		tail = "," + f.Reason
	}
	a.c.log(logging.Always, "AUTH: Received control message: AUTH_FAILED%s", tail)
	a.record(journal.Event{Kind: journal.KindLogin, Verdict: journal.Refused, Reason: "AUTH_FAILED"}) // the server's text may be a challenge
	a.c.remotes.stay = true                                                                           // the credentials were wrong, not the server
	switch {
	case f.Temp:
		a.c.pauses.backoff = f.Backoff
		a.c.remotes.wish = f.Advance
		a.c.port.PasswordFailed("Auth", f.Reason)
		a.end(engine.USR1, mgmt.ReasonAuthTemp)
		return
	case a.c.secrets.refused(a.opts.AuthUserPass.Enabled):
		a.c.port.PasswordFailed("Auth", f.Reason)
		a.end(engine.USR1, mgmt.ReasonAuthToken)
		return
	}
	a.c.port.PasswordFailed("Auth", f.Reason)
	switch a.c.secrets.Retry() {
	case mgmt.AuthRetryInteract:
		a.c.challenge = dynamicChallenge(f.Reason)
		a.end(engine.USR1, mgmt.ReasonAuthFailure)
	case mgmt.AuthRetryNoInteract:
		a.end(engine.USR1, mgmt.ReasonAuthFailure)
	default:
		a.end(engine.TERM, mgmt.ReasonAuthFailure)
	}
}
