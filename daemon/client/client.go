package client

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Deps are a client's dependencies. All fields but Console are needed.
type Deps struct {
	Options *config.Options
	Log     *logging.Logger
	Port    Port
	Signals *engine.Signals
	Secrets *Secrets
	Hooks   *hooks.Runner
	Env     *hooks.Env
	Totals  *engine.Totals
	Net     netconf.Net
	// Console asks a person at the terminal; nil or an error when there is none.
	Console func(ctx context.Context, prompt string, echo bool) (string, error)
	// Notes remember routes over a kill; may be nil.
	Notes *netconf.Notes
	// Version is announced to servers, "2.6.14".
	Version string
	// QueryToken asks the management port for a key file that is not there (management-query-token).
	QueryToken bool
	// Journal takes what becomes of the connection; may be nil.
	Journal Recorder
	// Tokens holds keys on smart cards, nil without any.
	Tokens *tokens.Store
	// Reread says that this instance follows a SIGHUP: its first attempt comes after a pause.
	Reread bool
	// Tunnel receives the IPv4 address of each tunnel that is up, and the zero address before it goes: the management
	// port may listen on it. May be nil.
	Tunnel func(netip.Addr)
	// Offload takes data packets out of this process; nil keeps them.
	Offload engine.Offload
	// Up is called after the first complete initialisation of the process, before CONNECTED: the moment to give
	// up privileges. An error is fatal.
	Up func() error
}

// Client is the engine. It implements engine.Engine and the management port's ClientController. The goroutine in Run owns
// it. Each of its parts does one thing, and gets at those that it embeds alone:
//
//	report      tells log, port and journal
//	questions   asks for passwords, and keeps them
//	scripts     runs scripts and plugins, and sets their variables
//	dialer      finds the next remote and opens the link
//	identity    loads certificates and keys
//	holder      keeps the tunnel, which may outlive a connection
type Client struct {
	*report
	*questions
	*scripts
	dialer
	identity
	holder
	opts   *config.Options
	sig    *engine.Signals
	totals *engine.Totals
	deps   Deps

	live atomic.Pointer[attempt]
	// underway: what is done between two attempts depends on the network, as a pause before the next, a lookup, a call. A
	// hold and questions do not.
	underway atomic.Bool

	pauses   pauses
	upCalled bool
	// saidDelayed: the log says already that privileges are dropped later.
	saidDelayed bool
	replays     replayFile // replay-persist
}

// New prepares a client. With persist-key it reads the key files; nothing else is opened before Run.
func New(d Deps) *Client {
	o := new(material.Files).Hold(d.Options)
	if o.RemoteRandom {
		o = o.Clone()
		rand.Shuffle(len(o.Connections), func(i, j int) { o.Connections[i], o.Connections[j] = o.Connections[j], o.Connections[i] })
	}
	r := &report{lg: d.Log, port: d.Port, journal: d.Journal}
	q := &questions{report: r, opts: o, secrets: d.Secrets, terminal: d.Console}
	s := &scripts{report: r, opts: o, hooks: d.Hooks, env: d.Env}
	c := &Client{report: r, questions: q, scripts: s, opts: o, sig: d.Signals, totals: d.Totals, deps: d}
	c.dialer = dialer{questions: q, remotes: remotes{count: len(o.Connections)}}
	c.identity = identity{questions: q, cards: d.Tokens, queryToken: d.QueryToken, signing: c.signing}
	c.holder.scripts, c.holder.sig, c.holder.net, c.holder.notes, c.holder.up, c.holder.sent = s, d.Signals, d.Net, d.Notes, d.Tunnel, &d.Totals.Out
	c.replays.report = r
	return c
}

// signing is the context of a signature that a handshake needs now, false between two connections.
func (c *Client) signing() (context.Context, bool) {
	a := c.live.Load()
	if a == nil {
		return nil, false
	}
	return a.ctx, true
}

// Run connects again and again until a signal other than SIGUSR1 ends it. See engine.Engine.
func (c *Client) Run(ctx context.Context) engine.Stop {
	defer c.replays.close()
	first := !c.deps.Reread
	for {
		stop, ok := c.beforeAttempt(ctx, first)
		if ok {
			stop = c.connect(ctx)
		}
		first = false
		stop = c.after(stop)
		if stop.Signal != engine.USR1 {
			return stop
		}
	}
}

// beforeAttempt pauses, or holds when the hold flag is set. It returns false with the reason when a signal came.
func (c *Client) beforeAttempt(ctx context.Context, first bool) (engine.Stop, bool) {
	if first {
		return engine.Stop{}, true
	}
	if stop, ok := c.pause(ctx); !ok {
		return stop, false
	}
	if c.pauses.exhausted(c.opts.ConnectRetryMax, c.remotes.count) {
		return fatal(errExhausted(c.opts.ConnectRetryMax)), false
	}
	return engine.Stop{}, true
}

// pause waits before the next attempt. It returns false with the reason when a signal came.
func (c *Client) pause(ctx context.Context) (engine.Stop, bool) {
	prof := c.profile()
	wait := time.Duration(0)
	if !c.pauses.skip {
		base := prof.ConnectRetry
		if c.secrets.Retry() == mgmt.AuthRetryNoInteract && c.opts.AuthUserPass.Enabled {
			base = nointeractBase
		}
		wait = c.pauses.next(base, prof.ConnectRetryMax, c.remotes.count)
	}
	c.pauses.skip = false
	ctx, cancel := c.sig.Context(ctx)
	defer cancel()
	if c.port.HoldFlag() && !c.deps.Reread {
		if err := c.port.Hold(ctx, wait); err != nil {
			return c.sig.Interrupted(), false
		}
		return engine.Stop{}, true
	}
	c.deps.Reread = false
	if wait <= 0 {
		return engine.Stop{}, true
	}
	c.log(logging.Steps, "Restart pause, %d second(s)", int(wait/time.Second))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	c.underway.Store(true)
	defer c.underway.Store(false)
	for {
		select {
		case <-timer.C:
			return engine.Stop{}, true
		case <-c.sig.Statistics():
			c.logStatistics()
		case <-ctx.Done():
			return c.sig.Interrupted(), false
		}
	}
}

// after takes down what an attempt left, says why, and prepares the next one.
func (c *Client) after(stop engine.Stop) engine.Stop {
	keep := stop.Signal == engine.USR1 && stop.Err == nil && c.tunnel != nil && c.tunnel.persist
	if !keep {
		if err := c.holder.close(stop); err != nil && stop.Err == nil {
			stop = fatal(err)
		}
	} else if err := c.tunnel.Lost(); err != nil {
		stop = fatal(err)
	}
	if stop.Err != nil {
		return stop
	}
	c.log(logging.Info, "%s", stop.Line("process"))
	name := mgmt.StateReconnecting
	if stop.Signal >= engine.TERM {
		name = mgmt.StateExiting
	}
	c.state(mgmt.State{Name: name, Detail: stop.StateReason()})
	c.remotes.restarted(stop.Source != engine.Hard, c.opts.PersistRemoteIP)
	c.pauses.skip = stop.Reason == mgmt.ReasonServerPoll || stop.Reason == mgmt.ReasonNetworkChange
	if !c.opts.PersistKey {
		c.identity.conf = nil
	}
	return stop
}

// fatal is the stop for an error that ends the process with status 1.
func fatal(err error) engine.Stop {
	return engine.Stop{Signal: engine.TERM, Source: engine.Soft, Err: err}
}

// Forget drops passwords and tokens.
func (c *Client) Forget() { c.secrets.Forget() }
