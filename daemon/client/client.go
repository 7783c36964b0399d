package client

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
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
	"github.com/moongate-vpn/moongate/mgmt/server"
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
	// Up is called after the first complete initialisation of the process, before CONNECTED: the moment to give
	// up privileges. An error is fatal.
	Up func() error
}

// Client is the engine. It implements engine.Engine and the management port's ClientController.
type Client struct {
	opts    *config.Options
	lg      *logging.Logger
	port    Port
	sig     *engine.Signals
	secrets *Secrets
	hooks   *hooks.Runner
	env     *hooks.Env
	totals  *engine.Totals
	deps    Deps

	path atomic.Pointer[path] // what the data plane works with
	live atomic.Pointer[attempt]
	// underway: what is done between two attempts depends on the network, as a pause before the next, a lookup, a call. A
	// hold and questions do not.
	underway atomic.Bool

	// Owned by the goroutine in Run.
	remotes   remotes
	pauses    pauses
	tls       *tlsMaterial
	tunnel    *device
	challenge *challenge
	proxyAuth server.Credentials // for the HTTP proxy of this attempt, empty when not known yet
	upCalled  bool
	// saidDelayed: the log says already that privileges are dropped later.
	saidDelayed bool
	early       bool                    // the tunnel is opened before the connection
	routesOK    bool                    // of such a tunnel
	names       map[string][]netip.Addr // looked up in advance (preresolve)
	replays     replayFile              // replay-persist

	caching sync.Once
}

// New prepares a client. With persist-key it reads the key files; nothing else is opened before Run.
func New(d Deps) *Client {
	c := &Client{
		opts: new(material.Files).Hold(d.Options), lg: d.Log, port: d.Port, sig: d.Signals, secrets: d.Secrets, hooks: d.Hooks,
		env: d.Env, totals: d.Totals, deps: d,
	}
	if d.Options.RemoteRandom {
		c.opts = c.opts.Clone()
		rand.Shuffle(len(c.opts.Connections), func(i, j int) {
			c.opts.Connections[i], c.opts.Connections[j] = c.opts.Connections[j], c.opts.Connections[i]
		})
	}
	c.remotes.count = len(d.Options.Connections)
	return c
}

func (c *Client) log(lv logging.Level, format string, args ...any) {
	c.lg.Msg(lv, format, args...)
}

func (c *Client) state(s mgmt.State) {
	c.recordState(s)
	c.port.State(s)
}

// CachingWarning is logged by the engine, once, when the first password is about to be kept; not at start.
const CachingWarning = "WARNING: this configuration may cache passwords in memory -- use the auth-nocache option to prevent this"

// doubts logs the warnings of the options.
func (c *Client) doubts() {
	for _, n := range c.opts.Warnings {
		c.log(n.Level, "%s", n.Text)
	}
}

// warnCaching says once that passwords stay in memory.
func (c *Client) warnCaching() { c.caching.Do(func() { c.log(logging.Warn, CachingWarning) }) }

// Run connects again and again until a signal other than SIGUSR1 ends it. See engine.Engine.
func (c *Client) Run(ctx context.Context) engine.Stop {
	defer c.closeReplays()
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
			return c.interrupted(ctx), false
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
			return c.interrupted(ctx), false
		}
	}
}

// interrupted is the stop for a signal that came while no packets were handled. SIGUSR1 is taken for SIGHUP there.
func (c *Client) interrupted(ctx context.Context) engine.Stop {
	stop, ok := c.sig.Take()
	if !ok {
		return engine.Stop{Signal: engine.TERM, Reason: mgmt.ReasonInitInstance}
	}
	if stop.Source == engine.Hard && stop.Reason == "" {
		stop.Reason = mgmt.ReasonInitInstance
		if stop.Signal == engine.USR1 {
			stop.Signal, stop.Reason = engine.HUP, mgmt.ReasonUSR1ToHUP
		}
	}
	return stop
}

// after takes down what an attempt left, says why, and prepares the next one.
func (c *Client) after(stop engine.Stop) engine.Stop {
	keep := stop.Signal == engine.USR1 && stop.Err == nil && c.tunnel != nil && c.tunnel.persist
	if !keep {
		if err := c.closeTunnel(stop); err != nil && stop.Err == nil {
			stop = fatal(err)
		}
	} else if c.opts.UpRestart {
		if err := c.tunnel.Restarted(context.Background(), false); err != nil {
			stop = fatal(err)
		}
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
		c.tls = nil
	}
	return stop
}

func (c *Client) closeTunnel(stop engine.Stop) error {
	t := c.tunnel
	if t == nil {
		return nil
	}
	c.tunnel = nil
	c.path.Store(nil)
	if c.deps.Tunnel != nil {
		c.deps.Tunnel(netip.Addr{})
	}
	return t.close(stop)
}

// fatal is the stop for an error that ends the process with status 1.
func fatal(err error) engine.Stop {
	return engine.Stop{Signal: engine.TERM, Source: engine.Soft, Err: err}
}

// Forget drops passwords and tokens.
func (c *Client) Forget() { c.secrets.Forget() }

// profile is the connection profile in use.
func (c *Client) profile() *config.Connection { return &c.opts.Connections[c.remotes.current] }

// linkNotice logs a transient error of the link that sending met.
func (c *Client) linkNotice(err error) { c.log(logging.Error, "%v", err) }

// deviceFailed ends the connection because the device is gone.
func (c *Client) deviceFailed(err error) {
	c.log(logging.Error, "%v", err)
	c.sig.Raise(engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonTunStop})
}
