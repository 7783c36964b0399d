package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
)

// A reload of a server:
//
//	read everything ─► what differs? ─► merge: changed lines where a running server can take them, the old ones elsewhere
//	               ─► engine: files and setup in force ─► process: log, scripts, port ─► report
//
// Nothing is changed before the last step that can fail.

// reloading is the state of reloads.
type reloading struct {
	proving atomic.Bool // new versions of scripts run their main chunks

	mu      sync.Mutex      // held during a reload; guards inForce
	inForce *config.Options // of the running server
}

// errNotReloaded says that a reload has to be a restart.
var errNotReloaded = errors.New("no server is running")

// Reload implements server.Reloader.
func (p *process) Reload() (_ []mgmt.Reloaded, failed error) {
	since := time.Now()
	defer func() { p.reloaded(since, failed) }()
	p.privileges.reopen(p.lg)
	r := &p.reloads
	if r.proving.Load() { // the main chunk of that script may ask for it, and would wait for itself
		return nil, errors.New("another reload is under way, and proves a script")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	srv, ok := p.engine().(*vpnserver.Server)
	if !ok {
		return nil, errNotReloaded
	}
	old := r.inForce
	next, err := config.Parse(p.args, config.Env{Stdin: p.env.Stdin, Restricted: p.privileges.dropped.Load()})
	if err != nil {
		return nil, describe(err)
	}
	report := compare(old, next, p.port.Reachable())
	merged, err := config.Merge(old, next, func(option string) bool {
		i := slices.IndexFunc(report, func(c mgmt.Reloaded) bool { return c.Option == option })
		return i >= 0 && report[i].Outcome == mgmt.OutcomeRestart
	})
	if err != nil { // what could be applied needs something that cannot
		for i := range report {
			report[i].Outcome = mgmt.OutcomeRestart
		}
		merged = old
	}
	if err := p.prove(srv, next, report); err != nil {
		return nil, err
	}
	r.proving.Store(true)
	newScripts, err := p.lua.prove(merged)
	r.proving.Store(false)
	if err != nil {
		return nil, err
	}
	files, err := srv.Apply(merged, p.environment(merged))
	if err != nil {
		newScripts.abort()
		return nil, err
	}
	r.inForce = merged
	for _, f := range files {
		if !slices.ContainsFunc(report, func(c mgmt.Reloaded) bool { return c.Option == f.Option }) {
			report = append(report, f)
		}
	}
	p.adopt(old, merged)
	if newScripts.apply() {
		script := mgmt.Reloaded{Option: "script", Outcome: mgmt.OutcomeApplied}
		if !slices.ContainsFunc(report, func(c mgmt.Reloaded) bool { return c.Option == script.Option }) {
			report = append(report, script)
		}
	}
	slices.SortFunc(report, func(a, b mgmt.Reloaded) int { return cmp.Compare(a.Option, b.Option) })
	p.tellReload(report)
	return report, nil
}

// prove reads what the new options name and a running server does not take from them: a restart must not be the moment in which
// a mistake shows. What Apply takes it proves itself.
func (p *process) prove(srv *vpnserver.Server, next *config.Options, report []mgmt.Reloaded) error {
	if err := p.lua.check(next); err != nil {
		return err
	}
	if !p.privileges.dropped.Load() { // else they were read with privileges that are gone
		for _, addr := range next.ManagementListen {
			if err := proveListener(addr); err != nil {
				return err
			}
		}
	}
	if slices.ContainsFunc(report, func(c mgmt.Reloaded) bool { return c.Outcome == mgmt.OutcomeRestart }) {
		return srv.Prove(next)
	}
	return nil
}

// proveListener reads the certificates and passwords of a management listener.
func proveListener(addr config.ManagementAddr) error {
	if addr.Cert.Set() {
		if _, err := protection(addr); err != nil {
			return err
		}
	}
	sources := []config.Source{addr.Password}
	for _, r := range addr.RolePasswords {
		sources = append(sources, r.Source)
	}
	for _, src := range sources {
		if !src.Set() || src.Path == "stdin" {
			continue
		}
		if _, err := firstLine(src); err != nil {
			return fmt.Errorf("management: %w", err)
		}
	}
	return nil
}

// compare lists the options that differ, with what can be done about them. scripts says whether a script can begin: it speaks to
// a port.
func compare(inForce, next *config.Options, scripts bool) []mgmt.Reloaded {
	var report []mgmt.Reloaded
	for _, c := range config.Diff(inForce, next) {
		outcome := vpnserver.Effect(c.Option, inForce, next)
		if c.Option == "script" && !scripts {
			outcome = mgmt.OutcomeRestart
		}
		report = append(report, mgmt.Reloaded{Option: c.Option, Outcome: outcome})
	}
	return report
}

// adopt is the part of a reload that is about the process. What the management port was told in the meantime stays unless
// the option changed.
func (p *process) adopt(old, o *config.Options) {
	if o.Verb != old.Verb {
		p.lg.SetVerb(o.Verb)
	}
	if o.Mute != old.Mute {
		p.lg.SetMute(o.Mute)
	}
	if p.fleet != nil {
		p.fleet.member.SetLimit(limitOf(o))
	}
	if o.RemapUSR1 != old.RemapUSR1 {
		p.sig.Remap(remap(o.RemapUSR1))
	}
	if o.ManagementLogCache != old.ManagementLogCache {
		p.port.SetLogCache(o.ManagementLogCache)
	}
	if !slices.Equal(o.Echo, old.Echo) {
		for _, e := range o.Echo {
			p.port.Echo(e)
		}
	}
}

// tellReload logs what a reload did.
func (p *process) tellReload(report []mgmt.Reloaded) {
	if len(report) == 0 {
		p.lg.Msg(logging.Info, "Reload: nothing changed")
	}
	for _, c := range report {
		switch c.Outcome {
		case mgmt.OutcomeApplied:
			p.lg.Msg(logging.Info, "Reload: %s applied", c.Option)
		case mgmt.OutcomeReconnect:
			p.lg.Msg(logging.Info, "Reload: %s applied to new connections", c.Option)
		default:
			p.lg.Msg(logging.Warn, "Reload: %s needs a restart to take effect", c.Option)
		}
	}
}

// hangUp acts on SIGHUP: it reloads a running server, and restarts everything else, as stock does.
func (p *process) hangUp() {
	p.reloads.mu.Lock()
	o := p.reloads.inForce
	p.reloads.mu.Unlock()
	if _, ok := p.engine().(*vpnserver.Server); !ok || o == nil || o.ReloadCompat {
		p.sig.Raise(engine.Stop{Signal: engine.HUP})
		return
	}
	sdNotify("RELOADING=1")
	switch _, err := p.Reload(); {
	case errors.Is(err, vpnserver.ErrNotServing):
		p.sig.Raise(engine.Stop{Signal: engine.HUP}) // between two instances
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			p.lg.Msg(logging.Error, "Reload: %s", line)
		}
		p.lg.Msg(logging.Warn, "Reload failed, nothing was changed")
	}
	sdNotify(fmt.Sprintf("READY=1\nMAINPID=%d", os.Getpid()))
}

// describe is the text of an option error, with the lines that come before it.
func describe(err error) error {
	var oe *config.Error
	if !errors.As(err, &oe) {
		return err
	}
	return errors.New(strings.Join(append(slices.Clone(oe.Before), oe.Error()), "\n"))
}
