package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Pauses of a worker that fails.
const (
	firstPause = time.Second // before the second start after an end without an answer in between
	maxPause   = 30 * time.Second
)

// worker is one plugin. One goroutine at a time owns it, the one that holds turn.
type worker struct {
	set   *Set
	index int
	spec  Spec
	turn  chan struct{} // holds a token while nobody owns the worker

	live     *life // nil while no process runs
	point    uint32
	heard    atomic.Uint32 // Event: what it wants to hear of; it never shrinks, so that a dead plugin refuses
	known    bool          // it has been opened once
	failures int           // ends of the process since its last answer
	pause    time.Time
}

// life is one process of a worker.
type life struct {
	conn    *net.UnixConn
	answers chan answer
	end     <-chan exitState
	opened  bool
	read    chan struct{} // closed when nobody reads the socket any more
}

// lost is why a worker gave no answer.
type lost struct{ why string }

func (l *lost) Error() string { return l.why }

// own waits for the worker, and for the pause after its failures.
func (w *worker) own(ctx context.Context) error {
	select {
	case <-w.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		w.disown()
		return context.Cause(ctx)
	}
	if wait := time.Until(w.pause); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			w.disown()
			return context.Cause(ctx)
		}
	}
	return nil
}

func (w *worker) disown() { w.turn <- struct{}{} }

// start runs a process and loads the plugin. The caller owns the worker.
func (w *worker) start() error {
	conn, end, err := w.set.keeper.start(w.index)
	if err != nil {
		return err
	}
	l := &life{conn: conn, answers: make(chan answer, 1), end: end, read: make(chan struct{})}
	w.live = l
	go w.listen(l)
	a, err := w.await('H')
	if err != nil {
		return err
	}
	w.point = a.status
	return nil
}

// listen logs what the plugin has to say and hands on answers.
func (w *worker) listen(l *life) {
	defer close(l.read)
	b := make([]byte, maxMessage)
	for {
		n, err := l.conn.Read(b)
		if n == 0 || err != nil {
			return
		}
		a, err := parseAnswer(b[:n])
		switch {
		case err != nil:
			w.set.cfg.Log(logging.Error, "PLUGIN %s: %v", w.spec.Name, err)
			return
		case a.kind == 'L':
			w.set.logOf(a)
		default:
			select {
			case l.answers <- a:
			default: // not asked for
			}
		}
	}
}

// open opens the plugin. The caller owns the worker.
func (w *worker) open() error {
	a, err := w.ask(message("O").number(uint32(All)), 'O')
	if err != nil {
		return err
	}
	w.set.cfg.Log(logging.Info, "PLUGIN_INIT: POST %s '%s' intercepted=%s ", w.spec.Name, w.spec, a.mask&All)
	if a.status != 0 {
		w.retire(false)
		return fmt.Errorf("PLUGIN_INIT: plugin initialization function failed: %s", w.spec.Name)
	}
	w.live.opened = true
	w.known = true
	w.heard.Store(w.heard.Load() | uint32(a.mask&All))
	return nil
}

// revive has a process with an open plugin. The caller owns the worker.
func (w *worker) revive() error {
	if w.live == nil {
		if err := w.start(); err != nil {
			return err
		}
	}
	if !w.live.opened {
		return w.open()
	}
	return nil
}

// call asks the plugin, which may take the limit of its set once it is its turn. A caller that goes away earlier leaves the plugin
// at work: others may still need what it does.
func (w *worker) call(ctx context.Context, m message) (answer, error) {
	if err := w.own(ctx); err != nil {
		return answer{}, err
	}
	type outcome struct {
		answer
		error
	}
	done := make(chan outcome, 1)
	go func() {
		defer w.disown()
		err := w.revive()
		var a answer
		if err == nil {
			a, err = w.ask(m, 'R')
		}
		if err == nil {
			w.failures = 0
		}
		done <- outcome{a, err}
	}()
	select {
	case o := <-done:
		return o.answer, o.error
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// ask sends a message and waits for the answer. The caller owns the worker. One that gives none in time is killed.
func (w *worker) ask(m message, want byte) (answer, error) {
	if len(m) > maxMessage {
		return answer{}, errTooLong
	}
	_ = w.live.conn.SetWriteDeadline(time.Now().Add(w.set.cfg.Limit))
	if _, err := w.live.conn.Write(m); errors.Is(err, syscall.EMSGSIZE) {
		return answer{}, errTooLong
	} // any other error: await sees the end
	return w.await(want)
}

func (w *worker) await(want byte) (answer, error) {
	l := w.live
	limit := time.NewTimer(w.set.cfg.Limit)
	defer limit.Stop()
	var why string
	select {
	case a := <-l.answers:
		return w.took(a, want)
	case s := <-l.end:
		l.end = nil
		if a, ok := l.lastWords(); ok {
			return w.took(a, want)
		}
		why = s.String()
	case <-l.read:
		if a, ok := l.lastWords(); ok {
			return w.took(a, want)
		}
		select {
		case s := <-l.end:
			l.end = nil
			why = s.String()
		case <-time.After(time.Second):
			why = "it does not speak any more"
		}
	case <-w.set.keeper.gone:
		why = errKeeper.Error()
	case <-limit.C:
		why = fmt.Sprintf("it took longer than %v and was killed", w.set.cfg.Limit)
	}
	return answer{}, w.fail(why)
}

// took is the answer, when it is the one that was asked for.
func (w *worker) took(a answer, want byte) (answer, error) {
	switch a.kind {
	case want:
		return a, nil
	case 'E':
		w.retire(false)
		return answer{}, fmt.Errorf("PLUGIN_INIT: could not load plugin shared object %s: %s", w.spec.Name, a.text)
	default:
		return answer{}, w.fail(fmt.Sprintf("it said %q, not %q", a.kind, want))
	}
}

// fail ends the process, and holds up the next when it is not the first to fail.
func (w *worker) fail(why string) error {
	w.retire(true)
	if w.failures++; w.failures > 1 {
		w.pause = time.Now().Add(min(firstPause<<min(w.failures-2, 10), maxPause))
	}
	return &lost{why}
}

// lastWords returns the last answer of a process that ended. Its socket may live on in processes that the plugin forked.
func (l *life) lastWords() (answer, bool) {
	select {
	case <-l.read:
	case <-time.After(100 * time.Millisecond):
	}
	select {
	case a := <-l.answers:
		return a, true
	default:
		return answer{}, false
	}
}

// retire ends the process, at once or once it has seen its socket closed.
func (w *worker) retire(kill bool) {
	l := w.live
	if l == nil {
		return
	}
	w.live = nil
	if kill && l.end != nil {
		w.set.keeper.kill(w.index)
	}
	l.conn.Close()
	<-l.read
	if l.end == nil {
		return
	}
	limit := time.NewTimer(w.set.cfg.Limit)
	defer limit.Stop()
	for {
		select {
		case <-l.end:
			return
		case <-w.set.keeper.gone:
			return
		case <-limit.C:
			if kill {
				return
			}
			kill = true
			w.set.keeper.kill(w.index)
			limit.Reset(time.Second)
		}
	}
}

// Spec is a plugin line of a configuration.
type Spec struct {
	Name string   // as written
	Args []string // after the name
}

// String is the line as log lines show it.
func (s Spec) String() string {
	return "[" + strings.Join(append([]string{s.Name}, s.Args...), "] [") + "]"
}
