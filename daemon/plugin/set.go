package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Config configures a set of plugins.
type Config struct {
	Plugins        []Spec
	Version        string   // of the daemon, three numbers with dots
	Env            []string // "name=value", what plugins see when they are opened
	UID, GID       int      // what Drop changes to, -1 for no change
	Chroot         string   // where Drop changes the root to, "" for no change
	Stdout, Stderr io.Writer
	Limit          time.Duration // of one call, and of opening a plugin
	Log            logging.Func
}

// Points in the life of the daemon at which a plugin may want to be opened.
const (
	BeforeTunnel = 2 // and 1; the usual one
	AfterTunnel  = 3
	AfterDrop    = 4
)

// Set are the plugins of a configuration, in its order. Its methods may be called on a nil *Set, which has no plugins, and
// from several goroutines.
type Set struct {
	cfg     Config
	keeper  *keeper
	workers []*worker
	wanted  atomic.Uint32 // Event: what any of them hears of
	closed  bool          // by CloseAll, which the owner calls
}

// Start runs the helper program and loads the plugins without opening them. It returns an error when the helper is not
// installed, or when a plugin cannot be loaded.
func Start(cfg Config) (*Set, error) {
	path, err := helper()
	if err != nil {
		return nil, err
	}
	m, err := cfg.setup()
	if err != nil {
		return nil, err
	}
	if cfg.Limit, err = patience(cfg.Limit); err != nil {
		return nil, err
	}
	s := &Set{cfg: cfg}
	if s.keeper, err = startKeeper(path, m, cfg.Stdout, cfg.Stderr); err != nil {
		return nil, err
	}
	for n, spec := range cfg.Plugins {
		s.workers = append(s.workers, &worker{set: s, index: n, spec: spec, turn: make(chan struct{}, 1)})
	}
	for _, w := range s.workers {
		if err := w.start(); err != nil {
			s.keeper.close()
			var l *lost
			if errors.As(err, &l) {
				err = fmt.Errorf("PLUGIN_INIT: could not load plugin shared object %s: %w", w.spec.Name, err)
			}
			return nil, err
		}
		w.disown()
	}
	return s, nil
}

// LimitVariable names how long a plugin may take for an event, as "45s", in the place of Config.Limit.
const LimitVariable = "MOONGATE_PLUGIN_LIMIT"

// patience is the limit of a call: usual, unless the environment says otherwise.
func patience(usual time.Duration) (time.Duration, error) {
	text := os.Getenv(LimitVariable)
	if text == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s=%s: write a time such as 45s", LimitVariable, text)
	}
	return d, nil
}

// setup is the first message to the keeper.
func (c *Config) setup() (message, error) {
	var v [3]uint64
	for n, part := range strings.SplitN(c.Version, ".", 3) {
		var err error
		if v[n], err = strconv.ParseUint(part, 10, 16); err != nil {
			return nil, fmt.Errorf("version %q: %w", c.Version, err)
		}
	}
	m := message("I").text(c.Version).number(uint32(v[0])).number(uint32(v[1])).text(fmt.Sprintf(".%d", v[2]))
	m = m.number(uint32(int32(c.UID))).number(uint32(int32(c.GID))).text(c.Chroot).list(c.Env).number(uint32(len(c.Plugins)))
	for _, p := range c.Plugins {
		m = m.text(resolve(p.Name)).list(append([]string{p.Name}, p.Args...))
	}
	return m, nil
}

// Open opens the plugins that want it at a point, those that should have been opened before included.
func (s *Set) Open(point uint32) error {
	if s == nil {
		return nil
	}
	for _, w := range s.workers {
		if err := w.own(context.Background()); err != nil {
			return err
		}
		err := error(nil)
		if w.point <= point && !w.known {
			err = w.revive()
		}
		s.wanted.Store(s.wanted.Load() | w.heard.Load())
		w.disown()
		if err != nil {
			var l *lost
			if errors.As(err, &l) {
				err = fmt.Errorf("PLUGIN_INIT: plugin initialization function failed: %s: %w", w.spec.Name, err)
			}
			return err
		}
	}
	return nil
}

// Drop has the plugins go on with the privileges of Config, once and for all.
func (s *Set) Drop() error {
	if s == nil {
		return nil
	}
	if err := s.keeper.dropped(); err != nil {
		return err
	}
	for _, w := range s.workers {
		if err := w.own(context.Background()); err != nil {
			return err
		}
		err := error(nil)
		if w.live != nil {
			_, err = w.ask(message("D"), 'R')
		}
		w.disown()
		if err != nil {
			return fmt.Errorf("drop the privileges of plugin %s: %w", w.spec.Name, err)
		}
	}
	return nil
}

// Wants reports whether any plugin hears of one of the events.
func (s *Set) Wants(e Event) bool { return s != nil && Event(s.wanted.Load())&e != 0 }

// Call is one event.
type Call struct {
	Event  Event
	Args   []string // after the plugin's name
	Env    []string // "name=value"
	Client uint64   // whose context the plugin gets, 0 for the daemon's own
	Depth  int      // of the certificate, with TLSVerify
	List   bool     // the plugin may give lines back
	Log    logging.Func
}

// Result is the answer of the plugins to an event: all that heard of it succeeded, or put off their answer.
type Result struct {
	Deferred bool
	Lists    [][]string // names and values in turn, of each plugin that gave any
}

// ErrRefused is the cause of an event that a plugin turned down.
var ErrRefused = errors.New("plugin refused")

// Call tells all plugins of an event, in order. It returns an error when any of them failed, or gave no answer; what the
// others said does not count then.
func (s *Set) Call(ctx context.Context, c Call) (Result, error) {
	var r Result
	var failed error
	if !s.Wants(c.Event) {
		return r, nil
	}
	for _, w := range s.workers {
		if w.hears(c.Event) {
			deferred, list, err := s.one(ctx, w, c)
			if err != nil {
				failed = err
			}
			if deferred && c.Event&mayDefer == 0 {
				failed = ErrRefused
			}
			if deferred && r.Deferred && c.Event == AuthUserPassVerify {
				c.Log(logging.At(0).Class("N"), "PLUGIN_CALL: two plugins put off their answer to %s; only one may: %s", c.Event, w.spec.Name)
				failed = ErrRefused
			}
			r.Deferred = r.Deferred || deferred
			if len(list) > 0 {
				r.Lists = append(r.Lists, list)
			}
		}
	}
	return r, failed
}

func (w *worker) hears(e Event) bool { return Event(w.heard.Load())&e != 0 }

// one tells one plugin.
func (s *Set) one(ctx context.Context, w *worker, c Call) (deferred bool, list []string, err error) {
	m := message("C").number(c.Event.number()).number(uint32(int32(c.Depth))).number(0)
	if c.List {
		m[len(m)-4] = 1
	}
	m = m.client(c.Client).list(append([]string{w.spec.Name}, c.Args...)).list(c.Env)
	a, err := w.call(ctx, m)
	if err != nil {
		c.Log(logging.Error, "PLUGIN_CALL: no answer of %s to %s: %v", w.spec.Name, c.Event, err)
		a.status = 1
	}
	c.Log(logging.Steps, "PLUGIN_CALL: POST %s/%s status=%d", w.spec.Name, c.Event, int32(a.status))
	switch a.status {
	case 0:
		return false, a.list, nil
	case 2:
		return true, a.list, nil
	}
	c.Log(logging.Error, "PLUGIN_CALL: plugin function %s failed with status %d: %s", c.Event, int32(a.status), w.spec.Name)
	if err != nil {
		return false, nil, err
	}
	return false, nil, ErrRefused
}

// Forget takes a client's context out of every plugin.
func (s *Set) Forget(ctx context.Context, client uint64) {
	if s == nil {
		return
	}
	for _, w := range s.workers {
		if err := w.own(ctx); err != nil {
			return
		}
		if w.live != nil && w.live.opened {
			_, _ = w.ask(message("F").client(client), 'R')
		}
		w.disown()
	}
}

// closePatience is how long a plugin that is at work may hold up the end of the daemon.
const closePatience = 3 * time.Second

// CloseAll closes all plugins. aborted tells them that the daemon ends by an error.
func (s *Set) CloseAll(aborted bool) {
	if s == nil || s.closed {
		return
	}
	s.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, w := range s.workers {
		if err := w.own(ctx); err != nil { // at work for too long
			s.keeper.kill(w.index)
			<-w.turn
		}
		switch {
		case w.live == nil:
		case aborted:
			_, _ = w.live.conn.Write(message("A"))
		default:
			_, _ = w.ask(message("X"), 'R')
		}
		w.retire(false) // the worker stays owned: nothing starts it anew before Restart
		if !aborted {
			s.cfg.Log(logging.Steps, "PLUGIN_CLOSE: %s", w.spec.Name)
		}
	}
}

// Restart loads the plugins anew after CloseAll. They are not open then.
func (s *Set) Restart() error {
	s.CloseAll(false)
	s.wanted.Store(0)
	for _, w := range s.workers {
		w.heard.Store(0)
		w.known, w.failures, w.pause = false, 0, time.Time{}
		err := w.start()
		w.disown()
		if err != nil {
			return err
		}
	}
	s.closed = false
	return nil
}

// Close closes the plugins and ends the helper.
func (s *Set) Close() {
	if s == nil {
		return
	}
	s.CloseAll(false)
	s.keeper.close()
}

// Same reports whether the set was made of the same plugins.
func (s *Set) Same(plugins []Spec) bool {
	return s != nil && slices.EqualFunc(s.cfg.Plugins, plugins, func(a, b Spec) bool { return a.Name == b.Name && slices.Equal(a.Args, b.Args) })
}

// logOf writes a line of a plugin.
func (s *Set) logOf(a answer) {
	const (
		isError = 1 << iota
		isWarning
		isNote
		isDebug
	)
	lv := logging.Info
	switch {
	case a.status&isError != 0:
		lv = logging.Error
	case a.status&isWarning != 0:
		lv = logging.Warn
	case a.status&isNote != 0:
	case a.status&isDebug != 0:
		lv = logging.Debug(7)
	}
	s.cfg.Log(lv, "PLUGIN %s: %s", a.name, a.text)
}
