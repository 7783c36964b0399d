package daemon

import (
	"github.com/moongate-vpn/moongate/daemon/engine"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// controller carries out what the management port asks of the process. Its methods return at once.
type controller struct{ *process }

var (
	_ server.Controller       = controller{}
	_ server.Reloader         = controller{}
	_ server.PKCS11Controller = controller{}
	_ server.Scripter         = controller{}
)

// EffectiveSignal returns the signal that remap-usr1 makes of another.
func (c controller) EffectiveSignal(name string) string {
	s, ok := engine.ParseSignal(name)
	if !ok {
		return name
	}
	return c.sig.Effective(s).String()
}

// Signal acts as if the process had received the signal.
func (c controller) Signal(name, reason string) {
	s, ok := engine.ParseSignal(name)
	if !ok {
		return
	}
	stop := engine.Stop{Signal: s, Reason: reason}
	if reason != "" {
		stop.Source = engine.Soft
	}
	c.sig.Raise(stop)
}

// Verb is the verbosity.
func (c controller) Verb() int { return c.lg.Verb() }

// SetVerb sets it.
func (c controller) SetVerb(n int) { c.lg.SetVerb(n) }

// Mute is the limit of equal lines in a row.
func (c controller) Mute() int { return c.lg.Mute() }

// SetMute sets it.
func (c controller) SetMute(n int) { c.lg.SetMute(n) }

// AuthRetry says what follows a refused login.
func (c controller) AuthRetry() string { return c.secrets.Retry() }

// SetAuthRetry sets it.
func (c controller) SetAuthRetry(mode string) { c.secrets.SetRetry(mode) }

// ForgetPasswords drops passwords and tokens.
func (c controller) ForgetPasswords() { c.secrets.Forget() }

// LoadStats is the traffic of all links since the start.
func (c controller) LoadStats() mgmt.ByteCount {
	return mgmt.ByteCount{In: c.totals.In.Load(), Out: c.totals.Out.Load()}
}

// Client is the running client, nil when there is none.
func (c controller) Client() server.ClientController {
	if running, ok := c.engine().(server.ClientController); ok {
		return toldClient{running, c.seen.journal.Dropped}
	}
	return nil
}

// PKCS11 are the certificates on tokens.
func (c controller) PKCS11() []server.PKCS11Identity { return c.tokens.identities() }

// Scripts implements server.Scripter.
func (c controller) Scripts() []mgmt.ScriptStatus { return c.lua.Scripts() }

// Server is the running server, nil when there is none, as in any hold of one.
func (c controller) Server() server.ServerController {
	s, ok := c.engine().(server.ServerController)
	if w, is := s.(interface{ Serving() bool }); !ok || is && !w.Serving() {
		return nil
	}
	if srv, ok := s.(*vpnserver.Server); ok {
		return askedServer{srv, &c.lua.logins, c.seen.journal.Dropped}
	}
	return s
}
