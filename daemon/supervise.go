package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
)

// supervised is a script that is kept running:
//
//	start ─► runs ─► fails ─► pause, longer each time ─► start
//	           │                                           ▲
//	           ├─► ends by itself ─► rests ── reload ──────┤
//	           └─► reload: the new version takes over ─────┘
type supervised struct {
	host    *scriptHost
	path    string
	cancel  context.CancelFunc
	replace chan *scriptVersion     // a new version; received by the supervisor
	drains  chan context.CancelFunc // end the versions that were replaced last, if they have not ended

	mu      sync.Mutex // guards what follows
	spec    config.LuaScript
	content [sha256.Size]byte
	status  *scriptStatus
	running RunningScript  // the version that counts, nil between two
	next    *scriptVersion // the version in replace, nil for none
}

// Pauses before a script that failed is started again. After a run of calm or longer, the first pause comes again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
	calm       = time.Minute
)

// supervise starts a script's supervisor, and the script unless first is a run of it.
func (h *scriptHost) supervise(spec config.LuaScript, first *scriptVersion) *supervised {
	ctx, cancel := context.WithCancel(h.ctx)
	s := &supervised{host: h, path: spec.Path, cancel: cancel, replace: make(chan *scriptVersion, 1), drains: make(chan context.CancelFunc, maxDraining), spec: spec, status: newScriptStatus(spec.Path)}
	h.wg.Go(func() {
		defer cancel()
		s.run(ctx, first)
	})
	return s
}

// same reports whether the script runs, or is about to, as spec says, from files that have not changed since.
func (s *supervised) same(spec config.LuaScript) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, status := s.content, s.status
	if s.next != nil {
		content, status = s.next.content, s.next.status
	}
	return content == sum(spec, status.get().Modules)
}

// renew has the supervisor put a new version in the place of the one that runs.
func (s *supervised) renew(n *scriptVersion) {
	s.mu.Lock()
	s.next = n
	s.mu.Unlock()
	s.replace <- n
}

// wanted says how the script is to run.
func (s *supervised) wanted() config.LuaScript {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec
}

// newest is the status of the version that counts.
func (s *supervised) newest() mgmt.ScriptStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.get()
}

// adopt makes n the version that counts.
func (s *supervised) adopt(n *scriptVersion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.status.get()
	s.spec, s.status, s.content, s.running = n.spec, n.status, n.content, n.run
	if s.next == n {
		s.next = nil
	}
	n.status.inherit(events)
}

// probe has a script that decides about logins give a sign of life.
func (s *supervised) probe() {
	s.mu.Lock()
	run, decides := s.running, s.status.get().Decides
	s.mu.Unlock()
	if run != nil && decides {
		run.Probe()
	}
}

func (s *supervised) run(ctx context.Context, next *scriptVersion) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		n, err := next, error(nil)
		if next = nil; n == nil {
			n = newScriptVersion(s.wanted())
			s.adopt(n)
			if n.run, err = s.host.run(ctx, n.spec, n.status); err == nil {
				s.mu.Lock()
				s.running = n.run
				s.mu.Unlock()
			}
		} else {
			s.adopt(n)
		}
		if err == nil {
			n.run.Begin(true)
			err = s.watch(ctx, n)
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > calm {
			pause = firstPause
		}
		var exit interface{ ExitCode() int }
		switch {
		case err == nil || errors.As(err, &exit):
			s.settle(mgmt.ScriptEnded, err)
			next = s.rest(ctx, 0)
			continue
		default:
			s.settle(mgmt.ScriptFailed, err)
			s.host.lg.Msg(logging.Warn, "script %s is started again in %v", s.path, pause)
			next = s.rest(ctx, pause)
			pause = min(2*pause, lastPause)
		}
	}
	s.settle(mgmt.ScriptEnded, nil)
}

// watch follows a run, and those that replace it, until one ends by itself.
func (s *supervised) watch(ctx context.Context, n *scriptVersion) error {
	ready := n.run.Ready()
	for {
		select {
		case err := <-ready:
			ready = nil
			if err == nil {
				s.mu.Lock()
				s.content = started(n.spec, n.status.get().Modules, n.content)
				s.mu.Unlock()
			}
		case <-n.run.Done():
			return n.run.Err()
		case next := <-s.replace:
			old := n
			n, ready = next, nil
			s.adopt(n)
			n.run.Begin(false)
			decided, hears := old.status.get().Decides, n.hears
			draining := s.beginDrain(ctx)
			s.host.wg.Go(func() {
				clean := drain(draining, old)
				if decided && !(clean && s.host.othersDecide(s)) {
					s.host.logins.leave(s.path, hears, clean)
					s.host.settleLogins()
				}
			})
		case <-ctx.Done():
			n.run.Stop()
			return ctx.Err()
		}
	}
}

// maxDraining is how many old versions of a script may end what they have begun: each has its own memory.
const maxDraining = 4

// aliveEvery is how often an old version has to give a sign of life.
const aliveEvery = time.Second

// beginDrain returns a context for an old version, which ends when too many came after it.
func (s *supervised) beginDrain(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx) //nolint:gosec // called below, or with ctx
	for {
		select {
		case s.drains <- cancel:
			return ctx
		default:
			(<-s.drains)()
		}
	}
}

// drain lets the handlers of an old version end, and reports whether they did. Their times are kept by the script's own process, as long as that is alive.
func drain(ctx context.Context, old *scriptVersion) bool {
	old.run.Drain()
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-old.run.Done():
			return old.run.Err() == nil
		case <-tick.C:
			old.run.Probe()
		case <-ctx.Done():
			old.run.Stop()
			return false
		}
	}
}

// settle notes how a run ended, and logs a failure.
func (s *supervised) settle(state mgmt.ScriptState, err error) {
	s.mu.Lock()
	status := s.status
	s.running = nil
	s.mu.Unlock()
	status.end(state, err)
	if status.get().Decides {
		s.host.logins.leave(s.path, time.Now(), false)
	}
	if err != nil {
		for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
			s.host.lg.Msg(logging.Error, "script %s ended: %s", s.path, strings.TrimSpace(line))
		}
	}
	s.host.settleLogins()
}

// rest waits for a new version, or for the end of a pause above 0.
func (s *supervised) rest(ctx context.Context, pause time.Duration) *scriptVersion {
	var over <-chan time.Time
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		over = t.C
	}
	select {
	case n := <-s.replace:
		return n
	case <-over:
	case <-ctx.Done():
	}
	return nil
}

// scriptStatus is the newest status of a run.
type scriptStatus struct {
	mu     sync.Mutex
	s      mgmt.ScriptStatus
	before mgmt.ScriptStatus // of the runs before: what they counted
}

func newScriptStatus(path string) *scriptStatus {
	return &scriptStatus{s: mgmt.ScriptStatus{Name: path, State: mgmt.ScriptStarting, Since: time.Now(), Decides: mayDecide(path)}}
}

// mayDecide reports whether a script seems to decide about logins. It is asked while the script has not told: one that fails at its start
// must not leave clients waiting.
func mayDecide(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && (bytes.Contains(text, []byte("client.connect")) || bytes.Contains(text, []byte("client.reauth")))
}

// inherit takes over what the run before counted.
func (s *scriptStatus) inherit(old mgmt.ScriptStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = old
}

func (s *scriptStatus) set(n mgmt.ScriptStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.s.Name
	s.s = n
	s.s.Name = name
}

func (s *scriptStatus) end(state mgmt.ScriptState, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.s.State, s.s.Handlers, s.s.Memory, s.s.Since = state, 0, 0, time.Now()
	if err != nil {
		s.s.Errors++
		s.s.LastError, _, _ = strings.Cut(err.Error(), "\n")
	}
}

// get is the status, with what the runs before counted.
func (s *scriptStatus) get() mgmt.ScriptStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.s
	n.Events += s.before.Events
	n.Errors += s.before.Errors
	n.Dropped += s.before.Dropped
	n.Took.Add(s.before.Took)
	if n.LastError == "" {
		n.LastError = s.before.LastError
	}
	n.Decides = n.Decides || s.before.Decides && n.State != mgmt.ScriptRunning
	return n
}
