package daemon

import (
	"context"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/engine"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// logins are those that wait for a verdict of the management port. While the script that decides about them is not running they
// are refused at once: a client learns within a second that it has to come again, and nobody comes in unasked.
type logins struct {
	wake chan struct{} // room for one: scripts or logins have changed

	mu      sync.Mutex
	waiting map[login]bool
}

// login is a key of a client.
type login struct{ cid, kid uint64 }

func (l *logins) begin(e server.ClientEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = make(map[login]bool)
	}
	l.waiting[login{e.CID, e.KID}] = true
}

func (l *logins) end(cid, kid uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, login{cid, kid})
}

// gone forgets a client.
func (l *logins) gone(cid uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.waiting {
		if k.cid == cid {
			delete(l.waiting, k)
		}
	}
}

// take empties the list.
func (l *logins) take() []login {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []login
	for k := range l.waiting {
		all = append(all, k)
	}
	clear(l.waiting)
	return all
}

// ClientConnect implements the engine's port.
func (s serverPort) ClientConnect(e server.ClientEvent) {
	s.lua.logins.begin(e)
	s.Server.ClientConnect(e)
	s.lua.settleLogins()
}

// ClientReauth implements the engine's port.
func (s serverPort) ClientReauth(e server.ClientEvent) {
	s.lua.logins.begin(e)
	s.Server.ClientReauth(e)
	s.lua.settleLogins()
}

// ClientDisconnect implements the engine's port.
func (s serverPort) ClientDisconnect(e server.ClientEvent) {
	s.lua.logins.gone(e.CID)
	s.Server.ClientDisconnect(e)
}

// askedServer is a server whose verdicts are noted, and whose status tells what the journal lost.
type askedServer struct {
	*vpnserver.Server
	logins *logins
	lost   lost
}

// ClientAuth implements server.ServerController.
func (s askedServer) ClientAuth(cid, kid uint64, config []string) (effect func()) {
	s.logins.end(cid, kid)
	return s.Server.ClientAuth(cid, kid, config)
}

// ClientDeny implements server.ServerController.
func (s askedServer) ClientDeny(cid, kid uint64, reason, clientReason string) (effect func()) {
	s.logins.end(cid, kid)
	return s.Server.ClientDeny(cid, kid, reason, clientReason)
}

// undecided is the script that would have to decide about logins and is not running, "" when one does.
func (h *scriptHost) undecided() (path string) {
	for _, s := range h.Scripts() {
		switch s.State {
		case mgmt.ScriptRunning, mgmt.ScriptStarting, mgmt.ScriptReady:
			if s.Decides || s.State != mgmt.ScriptRunning && s.LastError == "" {
				return "" // it does, or is about to for the first time
			}
		}
		if s.Decides || h.alone.Load() && s.State == mgmt.ScriptFailed {
			path = s.Name
		}
	}
	return path
}

// settleLogins has the logins looked at, by the goroutine of refuseLogins: the caller may be the engine.
func (h *scriptHost) settleLogins() {
	select {
	case h.logins.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// refuseLogins refuses the logins at the running engine that wait for a script that is not there, until ctx ends.
func (h *scriptHost) refuseLogins(ctx context.Context, running func() engine.Engine) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.logins.wake:
		}
		srv, ok := running().(*vpnserver.Server)
		if !ok {
			continue
		}
		path := h.undecided()
		if path == "" {
			continue
		}
		for _, l := range h.logins.take() {
			if deny := srv.ClientDeny(l.cid, l.kid, "script "+path+" is not running", "temporarily unavailable, try again"); deny != nil {
				deny()
			}
		}
	}
}
