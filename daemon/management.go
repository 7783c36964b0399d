package daemon

import (
	"context"
	"net/netip"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// portSignal is logged when a signal, wherever it came from, or a program that does not answer ends the daemon before
// anything began.
const portSignal = "Signal received from management interface, exiting"

// makePort makes the management port with what speaks to it: unreachable unless the options or a script want one. No client can attach yet, but what is
// logged from now on is in its history.
func (p *process) makePort(ctx context.Context) {
	o := p.opts
	p.port = server.New(server.Config{
		Unreachable: len(o.ManagementListen) == 0 && len(scripts(o)) == 0,
		Controller:  controller{p}, Title: Title(o.Compat), Version: o.Compat.PortVersion(), LogCache: o.ManagementLogCache, Hold: o.ManagementHold && !onlyTunnel(o),
		ForgetDisconnect: o.ManagementForgetDisconnect, SignalDisconnect: o.ManagementSignal, Starting: true,
		Log: func(verb int, flag, text string) { p.lg.Msg(logging.At(verb).Class(flag), "%s", text) }, Acted: p.acted,
	})
	p.lua.ctx, p.lua.port = ctx, p.port
	p.ways = ways{port: p.port, lg: p.lg, sig: p.sig, terminal: terminal{p.env.Stdin}, owned: p.owner != nil, wg: &p.wg, ctx: ctx}
	if !p.port.Reachable() {
		return
	}
	cancel := p.lg.Subscribe(func(e logging.Entry) {
		p.port.Log(mgmt.LogEntry{Time: e.Time, Flags: e.Flags, Text: e.Text})
	})
	context.AfterFunc(ctx, cancel)
}

// serverPort is the management port of a server. The port inside the tunnel follows the states: the device comes up before
// CONNECTED and is gone before the next state.
type serverPort struct {
	*server.Server
	ways *ways
	lua  *scriptHost
}

// State implements the engine's port.
func (s serverPort) State(e mgmt.State) {
	if e.Name == mgmt.StateConnected {
		s.ways.follow(e.TunIPv4)
	} else if e.Name == mgmt.StateReconnecting || e.Name == mgmt.StateExiting {
		s.ways.follow(netip.Addr{})
	}
	s.Server.State(e)
}

// onlyTunnel reports whether the management port is there while the tunnel is, and never else: no hold can be released
// through it, and stock does not hold either.
func onlyTunnel(o *config.Options) bool {
	return len(o.LuaScripts) == 0 && len(o.ManagementListen) > 0 && !slices.ContainsFunc(o.ManagementListen, func(a config.ManagementAddr) bool {
		return a.Host != "tunnel"
	})
}
