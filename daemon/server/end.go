package server

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// keyFailed handles a failed negotiation.
func (h *hub) keyFailed(i *instance, e control.Failed, now time.Time) {
	for _, line := range h.total.CountFailure(e.Err, h.set.HandWindow) {
		h.log(i, logging.Error, "%s", line)
	}
	h.logPanic(i.prefix(), e.Err)
	h.log(i, logging.Error, engine.HandshakeFailed)
	if !e.Dead {
		return
	}
	h.flush(i, now)
	h.end(i, "tls-error")
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
	i.leave()
	i.addDrops(h.dropped)
	i.tunnel.Store(nil)
	i.offloaded.close(h.clientLog, i)
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
	h.reaper.hangUp(i.link)
	if was == session.Established {
		h.established--
	}
	if was >= session.Authorised {
		h.clients--
	}
	h.publish()
}

// reaper ends beside the hub what takes time to end: sessions and connections.
type reaper struct{ sync.WaitGroup }

// hangUp closes a stream, which serves one client: the end of one waits for a peer that does not read.
func (r *reaper) hangUp(l transport.Link) {
	if l.RemoteAddr().IsValid() {
		_ = l.SetReadDeadline(time.Now()) // nothing comes in meanwhile
		r.Go(func() { _ = l.Close() })
	}
}

// farewells reports the end of a client that was at stage was to scripts and the port.
func (h *hub) farewells(i *instance, was session.Stage) {
	defer h.forgetContext(i)
	asks := was >= session.Configured && h.set.wants(h.set.ClientDisconnect, plugin.ClientDisconnect)
	if !i.portKnows() && !asks {
		return
	}
	env := h.env(i)
	addressVars(env, "trusted", i.peer.Load().Addr)
	env.Set("bytes_received", number(i.counts.LinkIn.Load()))
	env.Set("bytes_sent", number(i.counts.LinkOut.Load()))
	env.Set("time_duration", number(uint64(time.Since(i.since).Seconds())))
	if i.portKnows() {
		h.port.ClientDisconnect(server.ClientEvent{CID: i.cid, KID: i.session.Login(), Env: env.Newest(), PeerInfo: i.info.Lines})
	}
	if asks {
		h.disconnectScript(i, env)
	}
}

// disconnectScript runs client-disconnect, which there is, for a client whose connect script succeeded. Its addresses are
// deleted after that.
func (h *hub) disconnectScript(i *instance, env *hooks.Env) {
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
	if h.leaving.IsZero() { // else farewell has said so
		h.leaving = time.Now()
		h.publish() // an opening packet that is answered now ties its client to a server that is gone
	}
	for _, i := range h.oldestFirst() {
		i.ending = cmp.Or(i.ending, endShutdown)
		h.remove(i)
	}
	h.streams.close()
	h.reaper.Wait()
	h.pool.store(h.set)
}
