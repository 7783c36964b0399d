package client

import (
	"cmp"
	"context"
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
func (a *attempt) events(now time.Time) (some bool) {
	for a.session != nil && (a.stop == nil || a.exit.begun()) && !a.undecided() {
		e, ok := a.session.Event()
		if !ok {
			break
		}
		some = true
		a.event(e, now)
	}
	a.callerEvents(now)
	return some
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
		if !e.ByPeer {
			a.log(logging.Steps, "TLS: soft reset sec=%d/%d bytes=%d/%d pkts=%d/%d", int(e.Age.Seconds()), int(a.opts.RenegSec.Seconds()),
				e.Done.Bytes(), a.opts.RenegBytes, e.Done.Packets(), a.opts.RenegPackets)
		}
	case session.Unusable:
		a.log(logging.Error, "TLS Error: %v", e.Err)
	case control.Failed:
		a.failed(e)
	}
}

// initialPacket is the first packet of the server's session.
func (a *attempt) initialPacket() {
	a.their.heard = true
	a.state(mgmt.State{Name: mgmt.StateAuth})
	sid := a.session.Peer().String()
	a.log(logging.Steps, "TLS: Initial packet from %s, sid=%s %s", transport.AddrText(a.peer.Addr), sid[:8], sid[8:])
	if a.opts.AuthUserPass.Enabled && !a.opts.AuthNocache {
		a.c.warnCaching()
	}
}

// needCredentials answers the session's wish for user name and password, now or when the answer to a prompt comes. A renewal that
// came to nothing meanwhile, and the next one, are no reason to ask again.
func (a *attempt) needCredentials() {
	if a.useCredentials(a.session) || a.asking {
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
			a.useCredentials(a.session)
		}
	})
}

// useCredentials hands the known credentials to a session, false when there are none.
func (a *attempt) useCredentials(s *session.Session) bool {
	user, pass, ok := a.c.secrets.login(a.opts.AuthUserPass.Enabled)
	if !ok {
		return false
	}
	s.SetCredentials(user, pass)
	a.c.secrets.on(func(s *credentials.Set) { s.Sent(a.opts.AuthNocache) })
	return true
}

// tlsUp is a finished TLS handshake.
func (a *attempt) tlsUp(e control.TLSUp) {
	a.their.secured = tlsconf.Describe(&e.State)
	if a.opts.Compat.LogsKeyAgreement() {
		a.their.secured = tlsconf.Describe27(&e.State, a.opts.TLSServer)
	}
	a.c.exportKeyingMaterial(e)
	a.c.exportAddress("untrusted", a.peer.Addr) // again: the order of variables is that of stock
	if e.KeyID != 0 {
		return
	}
	if certs := e.State.PeerCertificates; len(certs) > 0 {
		a.their.name = a.c.peerName(certs[0])
		a.their.shown = cmp.Or(a.their.name, a.their.shown)
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

// active is a key whose messages are all exchanged and acknowledged.
func (a *attempt) active(e control.Active, now time.Time) {
	a.c.totals.Handshakes.Add(1)
	a.log(logging.Summary, "Control Channel: %s", a.their.secured)
	if e.KeyID != 0 {
		a.record(journal.Event{Kind: journal.KindRenewal})
		return
	}
	a.stage.Reach(session.Authorised)
	a.c.exportAddress("trusted", a.peer.Addr)
	if a.their.name != "" {
		a.c.env.Set("common_name", a.their.name)
	}
	a.log(logging.Info, "[%s] Peer Connection Initiated with %s", a.their.shown, transport.AddrText(a.peer.Addr))
	a.c.addressChanged(&a.tasks, a.peer.Addr)
	a.log(logging.Steps, "TLS: move_session: dest=TM_ACTIVE src=TM_INITIAL reinit_src=1")
	a.log(logging.Steps, "TLS: tls_multi_process: initial untrusted session promoted to trusted")
	if a.opts.Pull {
		a.pull.Start(now, a.opts.HandWindow)
		return
	}
	a.peerNegotiated()
}

// failed is a key negotiation that came to nothing. An older key keeps the tunnel up.
func (a *attempt) failed(e control.Failed) {
	for _, line := range a.c.totals.CountFailure(e.Err, a.opts.HandWindow) {
		a.log(logging.Error, "%s", line)
	}
	a.log(logging.Error, engine.HandshakeFailed)
	if !e.Dead && a.stage >= session.Authorised {
		return
	}
	if a.opts.TLSExit {
		a.end(engine.TERM, mgmt.ReasonTLSError)
		return
	}
	a.end(engine.USR1, mgmt.ReasonTLSError)
}
