package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// keyFailed handles a failed negotiation.
func (h *hub) keyFailed(i *instance, e control.Failed, now time.Time) {
	var tlsErr *control.TLSError
	var verify *tlsconf.VerifyError
	switch failed := &h.total.Failed; {
	case errors.Is(e.Err, control.ErrHandWindow):
		failed.Timeout.Add(1)
	case errors.As(e.Err, &verify):
		failed.Certificate.Add(1)
	case errors.As(e.Err, &tlsErr):
		failed.TLS.Add(1)
	default:
		failed.Other.Add(1)
	}
	switch {
	case errors.Is(e.Err, control.ErrHandWindow):
		h.log(i, logging.Error, "TLS Error: TLS key negotiation failed to occur within %d seconds (check your network connectivity)", int(h.set.HandWindow.Seconds()))
	case errors.As(e.Err, &tlsErr):
		h.log(i, logging.Error, "%s", tlsText(tlsErr))
		h.log(i, logging.Error, "TLS_ERROR: BIO read tls_read_plaintext error")
		h.log(i, logging.Error, "TLS Error: TLS object -> incoming plaintext read error")
	default:
		h.log(i, logging.Error, "TLS Error: %v", e.Err)
	}
	h.logPanic(i.prefix(), e.Err)
	h.log(i, logging.Error, "TLS Error: TLS handshake failed")
	if !e.Dead {
		return
	}
	h.flush(i, now)
	h.end(i, "tls-error")
}

// tlsText is the line of a broken TLS connection. What was wrong with a certificate is in the log by then.
func tlsText(e *control.TLSError) string {
	var verify *tlsconf.VerifyError
	if errors.As(e.Err, &verify) {
		return "OpenSSL: error:0A000086:SSL routines::certificate verify failed:"
	}
	return fmt.Sprintf("OpenSSL: error: %v", e.Err)
}

// restarting is the line of a client that is dropped for a reason, and may come again.
const restarting = "SIGUSR1[soft,%s] received, client-instance restarting"

// end removes an instance with the log line of a restart.
func (h *hub) end(i *instance, reason string) {
	h.log(i, logging.Steps, restarting, reason)
	i.ending = cmp.Or(i.ending, reason)
	h.remove(i)
}

// finish removes an instance with the log line of an end.
func (h *hub) finish(i *instance, reason string) {
	h.log(i, logging.Steps, "SIGTERM[soft,%s] received, client-instance exiting", reason)
	i.ending = cmp.Or(i.ending, reason)
	h.remove(i)
}

// remove takes an instance out of everything.
func (h *hub) remove(i *instance) {
	if i.stage == session.Gone {
		return
	}
	was := i.stage
	i.stage = session.Gone
	i.addDrops(h.dropped)
	i.tunnel.Store(nil)
	h.due.set(i, time.Time{})
	h.table.remove(i)
	delete(h.instances, i.cid)
	h.names.remove(i)
	if was == session.Established {
		h.recordGone(i)
	}
	h.farewells(i, was)
	h.unroute(h.set, i)
	i.logins.stopAll()
	h.pool.release(i)
	h.leaveFleet(i)
	h.reaper.Go(i.session.Close) // it waits for a handshake, or a hook of one
	if i.challenger != nil {
		h.remove(i.challenger)
	}
	if i.challenges != nil {
		i.challenges.challenger = nil
	}
	if i.link.RemoteAddr().IsValid() {
		_ = i.link.Close() // a stream serves one client
	}
	if was == session.Established {
		h.established--
	}
	if was >= session.Authorised {
		h.clients--
	}
	h.publish()
}

// farewells reports the end of a client that was at stage was to scripts and the port.
func (h *hub) farewells(i *instance, was session.Stage) {
	env := h.env(i)
	addressVars(env, "trusted", i.peer.Load().Addr)
	env.Set("bytes_received", number(i.counts.LinkIn.Load()))
	env.Set("bytes_sent", number(i.counts.LinkOut.Load()))
	env.Set("time_duration", number(uint64(time.Since(i.since).Seconds())))
	if i.portKnows() {
		h.port.ClientDisconnect(server.ClientEvent{CID: i.cid, KID: i.session.Login(), Env: env.Newest(), PeerInfo: i.info.Lines})
	}
	if was >= session.Configured {
		h.disconnectScript(i, env)
	}
	h.forgetContext(i)
}

// disconnectScript runs client-disconnect, for a client whose connect script succeeded. Its addresses are deleted after
// that.
func (h *hub) disconnectScript(i *instance, env *hooks.Env) {
	if !h.set.wants(h.set.ClientDisconnect, plugin.ClientDisconnect) {
		return
	}
	set, client := h.set, i.context()
	h.inTurn(append(append(h.set.nameTurn(i), addressTurns(i.learned.reported)...), h.stationTurnsOf(h.set, i)...), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		call := hooks.Call{Tag: "--client-disconnect", Type: "client-disconnect", Event: plugin.ClientDisconnect, Client: client, Log: a.logTo(""), Command: set.ClientDisconnect, Env: env}
		if err := a.script(ctx, client, call); err != nil {
			a.logLine("", logging.Warn, "%v", err)
		}
		return nil
	})
}

// shutdown removes every client. The hub's goroutine is over.
func (h *hub) shutdown() {
	for _, i := range h.oldestFirst() {
		i.ending = cmp.Or(i.ending, endShutdown)
		h.remove(i)
	}
	h.streams.close()
	h.reaper.Wait()
	h.pool.store(h.set)
}
