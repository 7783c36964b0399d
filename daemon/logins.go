package daemon

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// logins are those that wait for a verdict of the management port. While the script that decides about them is not running they
// are refused for now, at once: a client learns within a second that it has to come again, and nobody comes in unasked.
type logins struct {
	wake chan struct{} // room for one: scripts or logins have changed

	mu      sync.Mutex
	waiting map[login]waiting
}

// login is a key of a client.
type login struct{ cid, kid uint64 }

// waiting describes the wait of a login.
type waiting struct {
	since    time.Time
	deferred bool      // its client has been asked for a further step, whose time is limited
	left     time.Time // when a script that may have been about to decide ended; zero: none did
	of       string    // that script
}

const (
	// patience is how long a login waits for a script that starts, or for another script in the place of one that has ended.
	patience = 700 * time.Millisecond
	// probeAfter is how long a login waits before the script that decides has to give a sign of life.
	probeAfter = 200 * time.Millisecond
	// watchEvery is how often waiting logins are looked at.
	watchEvery = 100 * time.Millisecond
)

func (l *logins) begin(e server.ClientEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = make(map[login]waiting)
	}
	l.waiting[login{e.CID, e.KID}] = waiting{since: time.Now()}
}

func (l *logins) end(cid, kid uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, login{cid, kid})
}

// deferral notes that a client was asked for a further step.
func (l *logins) deferral(cid, kid uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w, ok := l.waiting[login{cid, kid}]; ok {
		w.deferred = true
		l.waiting[login{cid, kid}] = w
	}
}

// gone forgets a client.
func (l *logins) gone(cid uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.waiting, func(k login, _ waiting) bool { return k.cid == cid })
}

// leave notes that a script has ended which was to decide about the logins that began before a time. replaced tells that its next version hears what
// clients answer: those that were asked for a further step have their time.
func (l *logins) leave(script string, before time.Time, replaced bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, w := range l.waiting {
		if w.left.IsZero() && w.since.Before(before) && !(replaced && w.deferred) {
			w.left, w.of = time.Now(), script
			l.waiting[k] = w
		}
	}
}

// take removes the logins that hopeless gives a script for.
func (l *logins) take(hopeless func(waiting) (script string)) map[login]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[login]string)
	for k, w := range l.waiting {
		if script := hopeless(w); script != "" {
			all[k] = script
			delete(l.waiting, k)
		}
	}
	return all
}

// longest is how long the first of them waits, 0 when there is none.
func (l *logins) longest() (d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		d = max(d, time.Since(w.since), 1)
	}
	return d
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

// ClientPending implements server.ServerController.
func (s askedServer) ClientPending(cid, kid uint64, extra string, timeout time.Duration) bool {
	ok := s.Server.ClientPending(cid, kid, extra, timeout)
	if ok {
		s.logins.deferral(cid, kid)
	}
	return ok
}

// undecided is the script that would have to decide about logins and is not running, "" when one does, or is ready to: a reload's new version is, while the one
// before it ends what it has begun. soon tells that it starts.
func (h *scriptHost) undecided() (path string, soon bool) {
	for _, s := range h.Scripts() {
		starts := s.State == mgmt.ScriptStarting || s.State == mgmt.ScriptReady
		switch {
		case s.Decides && (s.State == mgmt.ScriptRunning || s.State == mgmt.ScriptReady):
			return "", false
		case s.Decides || h.alone.Load() && (s.State == mgmt.ScriptFailed || starts):
			if path == "" || starts {
				path, soon = s.Name, starts
			}
		}
	}
	return path, soon
}

// othersDecide reports whether another script than s decides about logins: those that s left may be that one's.
func (h *scriptHost) othersDecide(s *supervised) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.scripts {
		if n := x.newest(); x != s && n.State == mgmt.ScriptRunning && n.Decides {
			return true
		}
	}
	return false
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
	watch := time.NewTimer(time.Hour)
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.logins.wake:
		case <-watch.C:
		}
		longest := h.logins.longest()
		if longest == 0 {
			continue
		}
		watch.Reset(watchEvery)
		srv, ok := running().(*vpnserver.Server)
		if !ok {
			continue
		}
		if longest > probeAfter {
			h.probe()
		}
		path, soon := h.undecided()
		for l, script := range h.logins.take(func(w waiting) string {
			switch {
			case !w.left.IsZero() && time.Since(w.left) >= patience:
				return w.of
			case path != "" && (!soon || time.Since(w.since) >= patience):
				return path
			}
			return ""
		}) {
			if deny := srv.ClientDeny(l.cid, l.kid, "script "+script+" is not running", "TEMP:temporarily unavailable, try again"); deny != nil {
				deny()
			}
		}
	}
}

// probe has the scripts that decide about logins give a sign of life.
func (h *scriptHost) probe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.scripts {
		s.probe()
	}
}
