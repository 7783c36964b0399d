package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/client"
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/owner"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// process outlives engines and holds what they share: log, management port, secrets, counters, signals. It is the Controller of the port.
type process struct {
	args    []string
	env     Env
	lg      *logging.Logger
	sig     *engine.Signals
	secrets *client.Secrets
	totals  engine.Totals
	port    *server.Server // unreachable without a management port
	net     netconf.Net
	started time.Time

	opts *config.Options // of the running or next engine; owned by run

	mu      sync.Mutex // guards current
	current engine.Engine

	seen    observers
	tokens  tokenStore
	lua     scriptHost
	ways    ways
	reloads reloading
	fleet   *fleetPart // nil without a fleet

	plugins    plugins
	privileges privileges
	pidFile    pidFile
	notes      *netconf.Notes
	// scriptsAtOnce bounds the scripts of a server, 0 for no bound of ours.
	scriptsAtOnce int
	background    bool     // this process is the one in the background
	owner         *os.File // its end is ours; nil without
	wg            sync.WaitGroup
	ctx           context.Context    // of everything in wg
	cancel        context.CancelFunc // ends ctx

	inStartHold bool // a signal ended the hold before the engine, at the start or after SIGHUP
}

// newProcess opens the log and prepares what does not need the options twice.
func newProcess(args []string, opts *config.Options, env Env) *process {
	p := &process{
		args: args, env: env, opts: opts, lg: logging.New(logConfig(opts, env)), sig: engine.NewSignals(), secrets: &client.Secrets{},
		started: time.Now(), background: inBackground(), owner: owner.Take(),
	}
	p.privileges.uid, p.privileges.gid = -1, -1
	p.lua.host, p.lua.lg, p.lua.privileges, p.lua.wg = env.Scripts, p.lg, &p.privileges, &p.wg
	p.lua.logins.wake = make(chan struct{}, 1)
	p.scriptsAtOnce = fitThreads(threadLimit())
	p.sig.Remap(remap(opts.RemapUSR1))
	return p
}

func (p *process) close() {
	p.port.Close()
	p.seen.Record(journal.Event{Kind: journal.KindStop})
	p.seen.close()
	if p.cancel != nil {
		p.cancel()
	}
	p.wg.Wait()
	p.plugins.unload()
	p.pidFile.remove()
	p.notes.Close()
	p.lg.Close()
}

// run brings the daemon up and runs engines until the end.
func (p *process) run(ctx context.Context) int {
	ctx, p.cancel = context.WithCancel(ctx)
	p.ctx = ctx
	p.makePort(ctx)
	if !p.env.NoSignals {
		catchSignals(ctx, &p.wg, p.sig, p.hangUp)
	}
	p.wg.Go(func() { p.lua.refuseLogins(ctx, p.engine) })
	if err := p.lua.check(p.opts); err != nil {
		return p.fatal(err)
	}
	if err := p.early(); err != nil {
		return p.fatal(err)
	}
	supervised := sdNotify("READY=0")
	if p.opts.Daemon && !p.background && !supervised {
		if err := toBackground(p.args, p.env, p.owner); err != nil {
			return p.fatal(err)
		}
		return exitOK
	}
	if p.owner != nil {
		p.wg.Go(func() {
			if owner.Wait(ctx, p.owner) {
				p.sig.Raise(engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonManagementExit})
			}
		})
	}
	var err error
	if p.pidFile, err = writePID(p.opts.PIDFile); err != nil {
		return p.fatal(err)
	}
	if p.net, err = netconf.New(p.lg.Msg); err != nil {
		return p.fatal(err)
	}
	p.recoverRoutes()
	if err := p.privileges.lookup(p.opts.User, p.opts.Group, p.opts.Chroot); err != nil {
		return p.fatal(err)
	}
	if err := p.openJournal(); err != nil {
		return p.fatal(err)
	}
	if err := p.openMetrics(); err != nil {
		return p.fatal(err)
	}
	if err := p.openFleet(); err != nil {
		return p.fatal(err)
	}
	ok, err := p.ways.open(p.opts)
	if err != nil {
		return p.fatal(err)
	}
	if !ok {
		p.lg.Msg(logging.Info, "%s", portSignal)
		return exitOK
	}
	sdNotify(fmt.Sprintf("READY=1\nSTATUS=Pre-connection initialization successful\nMAINPID=%d", os.Getpid()))
	p.lua.start(p.opts)
	return p.loop(ctx)
}

// loop runs one engine after the other: each SIGHUP reads the options again.
func (p *process) loop(ctx context.Context) int {
	for reread := false; ; reread = true {
		if reread {
			p.privileges.reopen(p.lg)
			opts, err := config.Parse(p.args, config.Env{Stdin: p.env.Stdin})
			if err != nil {
				return p.rereadFailed(err)
			}
			p.opts = opts
			p.lg.SetVerb(opts.Verb)
			p.lg.SetMute(opts.Mute)
			p.sig.Remap(remap(opts.RemapUSR1))
			p.banner()
			for _, e := range opts.Echo {
				p.port.Echo(e)
			}
		}
		p.secrets.Configure(p.opts.AuthRetry)
		e, stop, ok := p.startEngine(ctx, reread)
		if ok {
			stop = p.runEngine(ctx, e)
			p.plugins.CloseAll(stop.Err != nil)
		} else if stop.Err == nil {
			p.ended(stop, reread)
		}
		switch {
		case stop.Err != nil:
			return p.fatal(stop.Err)
		case stop.Signal != engine.HUP:
			return exitOK
		}
	}
}

// patienceOfSeats is how long commands wait for an engine that is being made.
const patienceOfSeats = 500 * time.Millisecond

// startEngine waits in the hold, asks the startup passwords and makes the engine. It returns false with the reason
// when a signal or an error came first.
func (p *process) startEngine(ctx context.Context, reread bool) (engine.Engine, engine.Stop, bool) {
	sctx, cancel := p.sig.Context(ctx)
	defer cancel()
	err := p.port.Hold(sctx, 0)
	if p.inStartHold = err != nil; p.inStartHold {
		return nil, p.sig.Interrupted(), false
	}
	// Commands that are early wait for the engine, or for the first question, but not for a password store or a plugin that hangs.
	defer time.AfterFunc(patienceOfSeats, p.port.Begin).Stop()
	e, prepare, err := p.newEngine(reread)
	if err == nil && prepare != nil {
		err = prepare(sctx)
	}
	switch {
	case err != nil && sctx.Err() != nil:
		return nil, p.sig.Interrupted(), false
	case err != nil:
		return nil, engine.Stop{Signal: engine.TERM, Err: err}, false
	}
	return e, engine.Stop{}, true
}

// ended logs a stop that came before an engine ran. In the hold of a start stock says nothing on the port.
func (p *process) ended(stop engine.Stop, reread bool) {
	if p.inStartHold && stop.Signal >= engine.TERM {
		p.lg.Msg(logging.Info, "%s", portSignal)
		return
	}
	p.lg.Msg(logging.Info, "%s", stop.Line("process"))
	if !reread && stop.Signal >= engine.TERM {
		return
	}
	name := mgmt.StateReconnecting
	if stop.Signal >= engine.TERM {
		name = mgmt.StateExiting
	}
	p.port.State(mgmt.State{Name: name, Detail: stop.StateReason()})
}

func (p *process) runEngine(ctx context.Context, e engine.Engine) engine.Stop {
	p.setCurrent(e)
	defer p.setCurrent(nil)
	p.port.Begin()
	defer keepStatusFile(p.opts.Status, p.opts.StatusInterval, e, p.lg.Msg)()
	return e.Run(ctx)
}

func (p *process) setCurrent(e engine.Engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = e
}

func (p *process) engine() engine.Engine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// early does what comes before everything else: the banner, warnings, the priority of the process.
func (p *process) early() error {
	p.banner()
	if p.opts.Nice != 0 {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, p.opts.Nice); err != nil {
			p.lg.Msg(logging.Warn, "WARNING: nice %d failed: %v", p.opts.Nice, err)
		} else {
			p.lg.Msg(logging.Info, "nice %d succeeded", p.opts.Nice)
		}
	}
	if p.opts.Mlock {
		if err := lockMemory(); err != nil {
			p.lg.Msg(logging.Warn, "WARNING: mlockall call failed: %v", err)
		} else {
			p.lg.Msg(logging.Info, "mlockall call succeeded")
		}
	}
	return nil
}

// banner logs what the options have to say, and who we are.
func (p *process) banner() {
	for _, n := range p.opts.Notes {
		p.lg.Msg(n.Level, "%s", n.Text)
	}
	p.lg.Msg(logging.Info, "%s", Title(p.opts.Compat))
	p.lg.Msg(logging.Info, "%s", libraries())
}

// fatal logs an error that ends the process, tells the port and returns the exit status.
func (p *process) fatal(err error) int {
	text := err.Error()
	p.lg.Msg(logging.Fatal, "%s", text)
	p.port.Fatal(text)
	p.lg.Msg(logging.Fatal, "%s", exiting) // the port is closed by then
	sdNotify("STATUS=Failed to start up: " + text + "\nERRNO=1")
	return exitError
}

func (p *process) rereadFailed(err error) int {
	var oe *config.Error
	if errors.As(err, &oe) {
		for line := range errorLines(oe) {
			p.lg.Msg(logging.Fatal, "%s", line)
		}
		return exitError
	}
	p.lg.Msg(logging.Fatal, "%v", err)
	return exitError
}
