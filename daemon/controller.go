package daemon

import (
	"github.com/moongate-vpn/moongate/daemon/engine"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// The methods below make a process the Controller of its management port. They return at once.
var _ server.Controller = (*process)(nil)

// EffectiveSignal is what remap-usr1 makes of a signal.
func (p *process) EffectiveSignal(name string) string {
	s, ok := engine.ParseSignal(name)
	if !ok {
		return name
	}
	return p.sig.Effective(s).String()
}

// Signal acts as if the process had received the signal.
func (p *process) Signal(name, reason string) {
	s, ok := engine.ParseSignal(name)
	if !ok {
		return
	}
	stop := engine.Stop{Signal: s, Reason: reason}
	if reason != "" {
		stop.Source = engine.Soft
	}
	p.sig.Raise(stop)
}

// Verb is the verbosity.
func (p *process) Verb() int { return p.lg.Verb() }

// SetVerb sets it.
func (p *process) SetVerb(n int) { p.lg.SetVerb(n) }

// Mute is the limit of equal lines in a row.
func (p *process) Mute() int { return p.lg.Mute() }

// SetMute sets it.
func (p *process) SetMute(n int) { p.lg.SetMute(n) }

// AuthRetry is what a refused login leads to.
func (p *process) AuthRetry() string { return p.secrets.Retry() }

// SetAuthRetry sets it.
func (p *process) SetAuthRetry(mode string) { p.secrets.SetRetry(mode) }

// ForgetPasswords drops passwords and tokens.
func (p *process) ForgetPasswords() { p.secrets.Forget() }

// LoadStats is the traffic of all links since the start.
func (p *process) LoadStats() mgmt.ByteCount {
	return mgmt.ByteCount{In: p.totals.In.Load(), Out: p.totals.Out.Load()}
}

// Client is the running client, nil when there is none.
func (p *process) Client() server.ClientController {
	c, _ := p.engine().(server.ClientController)
	return c
}

// Server is the running server, nil when there is none, as in any hold of one.
func (p *process) Server() server.ServerController {
	s, ok := p.engine().(server.ServerController)
	if w, is := s.(interface{ Serving() bool }); !ok || is && !w.Serving() {
		return nil
	}
	if srv, ok := s.(*vpnserver.Server); ok {
		return askedServer{srv, &p.lua.logins}
	}
	return s
}
