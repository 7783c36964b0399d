package server

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// turns keep the hooks about one thing in order: a client's disconnect script ends before the connect script of its
// next session begins, an address is deleted before somebody else adds it. Hooks about different things run at once.
// It maps a name to the end of the last hook that concerns it; the hub owns it.
type turns map[string]chan struct{}

// job is work beside the hub. What it returns, if anything, runs on the hub.
type job func(ctx context.Context, a *aside) func(h *hub)

// nameTurn is what connect and disconnect scripts of one client have in common.
func (h *hub) nameTurn(i *instance) []string {
	if h.set.DuplicateCN || i.commonName == "" {
		return []string{"cid " + number(i.cid)}
	}
	return []string{"name " + i.commonName}
}

// beside runs work on a goroutine of its own and what it returns on the hub. Work gets a context that ends after limit,
// with the cause hooks.ErrDeadline, or when the returned function is called because the work is of no use any more. It uses
// what it is handed and nothing of the hub's.
func (h *hub) beside(limit time.Duration, work job) context.CancelFunc {
	return h.inTurn(nil, limit, work)
}

// inTurn is beside for work that waits for all earlier work about the same things.
func (h *hub) inTurn(about []string, limit time.Duration, work job) context.CancelFunc {
	a := h.aside
	done := make(chan struct{})
	var before []chan struct{}
	for _, name := range about {
		if last := h.turns[name]; last != nil {
			before = append(before, last)
		}
		h.turns[name] = done
	}
	ctx, stop := context.WithCancel(h.hooksCtx)
	h.hooks.Go(func() {
		defer stop()
		for _, last := range before {
			<-last
		}
		ctx, cancel := context.WithTimeoutCause(ctx, limit, hooks.ErrDeadline)
		defer cancel()
		f := a.run(ctx, work)
		close(done)
		if f == nil && len(about) == 0 {
			return
		}
		a.post(func(h *hub) {
			for _, name := range about {
				if h.turns[name] == done {
					delete(h.turns, name)
				}
			}
			if f != nil {
				f(h)
			}
		})
	})
	return stop
}

// run runs a job. One that panics returns nothing: what waits for it is refused when its time is over.
func (a *aside) run(ctx context.Context, work job) (f func(*hub)) {
	defer func() {
		if v := recover(); v != nil {
			a.logPanic("", control.NewPanic(v))
			f = nil
		}
	}()
	return work(ctx, a)
}

// endHooks waits for the hooks that are left when the hub is gone, and kills those that take long.
func (h *hub) endHooks() {
	impatient := time.AfterFunc(lastHooks, h.stopHooks)
	h.hooks.Wait()
	impatient.Stop()
	h.stopHooks()
}

// lastHooks is how long a server waits for its last scripts.
const lastHooks = 5 * time.Second

// script runs a script, at most hooksAtOnce at a time. Waiting for a free place counts against ctx.
func (a *aside) script(ctx context.Context, c hooks.Call) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return &hooks.Error{Tag: c.Tag, Code: -1, Err: context.Cause(ctx)}
	}
	r := *a.scripts
	r.Security = a.opts.Load().ScriptSecurity
	return r.Run(ctx, c)
}
