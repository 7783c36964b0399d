package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/internal/cookie"
	"github.com/moongate-vpn/moongate/daemon/internal/pause"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Port is the management port of a server. *server.Server is one.
type Port interface {
	engine.Port
	ClientConnect(server.ClientEvent)
	ClientReauth(server.ClientEvent)
	ClientEstablished(server.ClientEvent)
	ClientDisconnect(server.ClientEvent)
	ClientCRResponse(e server.ClientEvent, response string)
	ClientAddress(cid uint64, p netip.Prefix, own bool)
	// Attended reports whether the methods above reach anything now. What they tell is made for every client, and costs as much
	// as the rest of a login that is no cryptography.
	Attended() bool
}

// Deps are a server's dependencies.
type Deps struct {
	Options *config.Options
	Log     *logging.Logger
	Port    Port
	Signals *engine.Signals
	Hooks   *hooks.Runner
	Env     *hooks.Env
	Totals  *engine.Totals
	Net     netconf.Net
	// Notes remember routes over a kill; may be nil.
	Notes *netconf.Notes
	// Journal takes what becomes of clients; may be nil.
	Journal Recorder
	// Fleet shares addresses, limits and orders with other servers; nil without one.
	Fleet Fleet
	// Reach begins to tell others what leads to clients, with the name of the device; nil does not.
	Reach func(dev string) ([]Reach, error)
	// Relay begins to exchange packets with other nodes; nil does not.
	Relay func(relay.Host) (Relay, error)
	// Offload takes the data packets of clients out of this process; nil keeps them.
	Offload engine.Offload
	// Title heads status reports.
	Title string
	// HooksAtOnce is how many scripts may run at once, 0 for the usual number.
	HooksAtOnce int
	// Passphrase opens an encrypted private key.
	Passphrase func() (string, error)
	// Up is called after each complete initialisation, before CONNECTED: the moment to give up privileges. An error is
	// fatal.
	Up func() error
}

// Server is the engine. It implements engine.Engine and the management port's ServerController.
type Server struct {
	base
	live    atomic.Pointer[inbox]          // nil while no clients are served
	carried carried                        // over SIGUSR1
	kept    material.Files                 // persist-key, for reloads
	applied atomic.Pointer[applied]        // the newest reload
	open    func(*setup) (*sockets, error) // listen, in whose place a test puts links in memory
}

// New prepares a server. Nothing is opened before Run.
func New(d Deps) *Server {
	atOnce := hooksAtOnce
	if d.HooksAtOnce > 0 {
		atOnce = d.HooksAtOnce
	}
	s := &Server{base: base{deps: d, port: d.Port, scripts: d.Hooks, total: d.Totals, slots: newSlots(atOnce)}}
	s.open = s.listen
	s.opts.Store(d.Options)
	s.env.Store(d.Env)
	return s
}

// restartPause is the time between the end of an instance and the next on SIGUSR1.
const restartPause = time.Second

// Run serves clients until a signal other than SIGUSR1. See engine.Engine.
func (s *Server) Run(ctx context.Context) (stop engine.Stop) {
	defer func() {
		if err := s.drop(stop); err != nil && stop.Err == nil {
			stop = fatal(err)
		}
	}()
	for {
		stop := s.serve(ctx)
		if stop.Err != nil {
			return stop
		}
		s.logLine("", logging.Info, "%s", stop.Line("process"))
		name := mgmt.StateReconnecting
		if stop.Signal >= engine.TERM {
			name = mgmt.StateExiting
		}
		s.port.State(mgmt.State{Name: name, Detail: stop.StateReason()})
		if stop.Signal != engine.USR1 {
			return stop
		}
		if next, ok := s.pause(ctx); !ok {
			return next
		}
	}
}

// pause waits before a restart, for the management port's release or a moment.
func (s *Server) pause(ctx context.Context) (engine.Stop, bool) {
	life := ctx
	ctx, cancel := s.deps.Signals.Context(life)
	defer cancel()
	var err error
	if s.port.HoldFlag() {
		err = s.port.Hold(ctx, restartPause)
	} else {
		s.logLine("", logging.Steps, "Restart pause, %d second(s)", int(restartPause/time.Second))
		err = pause.For(ctx, restartPause)
	}
	if err == nil {
		return engine.Stop{}, true
	}
	stop, ok := s.deps.Signals.Take()
	if life.Err() == nil && stop.Signal <= engine.USR1 {
		if s.port.HoldFlag() {
			return s.pause(life) // the hold goes on
		}
		return engine.Stop{}, true // a restart is under way already
	}
	if !ok {
		stop = engine.Stop{Signal: engine.TERM}
	}
	if stop.Reason == "" {
		stop.Reason = mgmt.ReasonInitInstance
	}
	return stop, false
}

func fatal(err error) engine.Stop {
	return engine.Stop{Signal: engine.TERM, Source: engine.Soft, Err: err}
}

// serve is one instance of the server: device up, sockets, clients, everything down.
func (s *Server) serve(ctx context.Context) (stop engine.Stop) {
	set, err := s.prepare()
	if err != nil {
		return fatal(err)
	}
	starting, started := s.deps.Signals.Context(ctx) // scripts and lookups, which a signal cuts short
	defer started()
	tn, err := s.bringUp(starting, set)
	defer func() {
		if err := s.takeDown(tn, stop); err != nil && stop.Err == nil {
			stop = fatal(err)
		}
	}()
	var listeners []listener
	if err == nil {
		listeners, err = resolveListeners(starting, set.prof.Listeners)
	}
	switch {
	case starting.Err() != nil:
		return s.deps.Signals.Interrupted()
	case err != nil:
		return fatal(err)
	}
	started()
	set = set.at(listeners)
	socks, err := s.open(set)
	if err != nil {
		return fatal(err)
	}
	defer socks.close()
	h, err := s.newHub(set, tn.Device())
	if err != nil {
		return fatal(err)
	}
	defer h.unreach()
	if err := h.openReach(h.plane, s.deps, tn.Device().Name()); err != nil {
		return fatal(err)
	}
	if s.deps.Up != nil {
		if err := s.deps.Up(); err != nil {
			return fatal(err)
		}
	}
	v4, v6 := tn.Addresses()
	s.live.Store(h.inbox) // a client that sees CONNECTED may query right away; work takes it back
	s.logLine("", logging.Info, "Initialization Sequence Completed")
	s.port.State(mgmt.State{Name: mgmt.StateConnected, Detail: mgmt.DetailSuccess, TunIPv4: v4, TunIPv6: v6, Local: listeners[0].at})
	return s.work(ctx, h, socks, &tn.planes)
}

// prepare reads what the options name, and logs what they have to say.
func (s *Server) prepare() (*setup, error) {
	for _, n := range s.opts.Load().Warnings {
		s.logLine("", n.Level, "%s", n.Text)
	}
	set, err := s.material()
	if err != nil {
		return nil, err
	}
	set.plugins = s.scripts.Plugins
	for _, n := range set.tls.Notes() {
		s.logLine("", logging.Warn, "%s", n)
	}
	if set.AuthGenToken && set.token == nil {
		s.logLine("", logging.Info, "Using random OpenVPN auth-token server key.")
		set.token, err = keys.GenerateTokenKey(rand.Reader)
	}
	return set, err
}

// assemble puts a hub together from its parts, for the setup of the start.
func assemble(a *aside) *hub {
	say := &clientLog{aside: a}
	h := &hub{
		clientLog: say, errands: errands{with: a, turns: make(turns)}, links: links{say: say}, roster: newRoster(a.boot.MaxClients), pool: leases{say: say},
		set: a.boot, proto: ctrlwrap.NewPrototype(a.boot.wrap), arrivals: arrivals{gate: new(atomic.Pointer[admission])},
		verifying: make(map[transport.Peer]bool), dropped: make(map[string]uint64),
	}
	h.routing = newRouting(&h.roster, &h.errands, say)
	return h
}

// newHub makes the control plane of an instance.
func (s *Server) newHub(set *setup, dev tun.Device) (*hub, error) {
	a := &aside{base: &s.base, inbox: newInbox(), boot: set, limiter: newLimiter()}
	h := assemble(a)
	h.carried, h.pool.file, h.links.occ = &s.carried, &s.carried.pool, set.ownOptions()
	h.streams = newStreams(set.MaxClients, set.PortShare.Host != "")
	h.answers = ratelimit.NewPerPrefix(set.ConnectFreqInitial.Count, set.ConnectFreqInitial.Per)
	h.regulars = ratelimit.NewRegulars(set.ConnectFreqInitial.Count, set.ConnectFreqInitial.Per)
	h.creation = ratelimit.New(set.ConnectFreq.Count, set.ConnectFreq.Per)
	h.publish()
	a.hooksCtx, h.errands.stop = context.WithCancel(context.Background())
	var err error
	if h.cookies, err = cookie.New(rand.Reader, set.HandWindow); err != nil {
		return nil, err
	}
	h.logLine("", logging.Steps, "MULTI: multi_init called, r=256 v=256") // stock's hash tables; ours grow
	if err := h.pool.open(set); err != nil {
		return nil, err
	}
	if set.prof.ServesTCP() {
		h.logLine("", logging.Steps, "MULTI: TCP INIT maxclients=%d maxevents=%d", set.MaxClients, set.MaxClients+5)
	}
	if set.StaleRoutesAge > 0 {
		h.logLine("", logging.Info, "Initializing stale route check timer to run every %d seconds and to removing routes with activity timeout older than %d seconds",
			int(set.StaleRoutesInterval.Seconds()), int(set.StaleRoutesAge.Seconds()))
	}
	h.plane, err = newPlane(h, set, dev)
	return h, err
}

// newPlane makes what the data plane of an instance shares.
func newPlane(h *hub, set *setup, dev tun.Device) (*plane, error) {
	p := &plane{
		dev: dev, tap: set.tap(), clientToClient: set.ClientToClient, passTOS: set.PassTOS && !set.tap() && set.prof.ServesUDP(),
		maxPacket: max(set.prof.TunMTU+64, 2048), vlans: newVLANs(set.Options),
		table: h.table, routes: h.routes, stations: h.stations, total: h.total, aside: h.aside,
	}
	if p.maxPacket > maxTunPacket {
		return nil, fmt.Errorf("tun-mtu %d is larger than %d", set.prof.TunMTU, maxTunPacket-64)
	}
	return p, nil
}

// Forget implements engine.Engine: a server keeps no passwords.
func (s *Server) Forget() {}

var _ engine.Engine = (*Server)(nil)
