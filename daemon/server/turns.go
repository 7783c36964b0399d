package server

import (
	"context"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// turns keep the hooks about one thing in order: a client's disconnect script ends before the connect script of its
// next session begins, an address is deleted before another client adds it. Hooks about different things run at once.
// It maps a name to the end of the last hook that concerns it; the hub owns it.
type turns map[string]chan struct{}

// errands is work beside the hub: scripts and what else takes time. The hub owns it.
type errands struct {
	with    *aside
	turns   turns
	running sync.WaitGroup
	stop    context.CancelFunc // ends hooksCtx
}

// job is work beside the hub. What it returns, if anything, runs on the hub.
type job func(ctx context.Context, a *aside) func(h *hub)

// nameTurn names the turn that connect and disconnect scripts of one client share.
func (s *setup) nameTurn(i *instance) []string {
	if s.DuplicateCN || i.commonName == "" {
		return []string{"cid " + number(i.cid)}
	}
	return []string{"name " + i.commonName}
}

// beside runs work on a goroutine of its own and what it returns on the hub. Work gets a context that ends after limit,
// with the cause hooks.ErrDeadline, or when the returned function is called because the work is of no use any more. It uses
// what it is handed and nothing of the hub's.
func (e *errands) beside(limit hooks.Limit, work job) context.CancelFunc {
	return e.inTurn(nil, limit, work)
}

// inTurn is beside for work that waits for all earlier work about the same things.
func (e *errands) inTurn(about []string, limit hooks.Limit, work job) context.CancelFunc {
	a := e.with
	done := make(chan struct{})
	var before []chan struct{}
	for _, name := range about {
		if last := e.turns[name]; last != nil {
			before = append(before, last)
		}
		e.turns[name] = done
	}
	ctx, stop := context.WithCancel(a.hooksCtx)
	e.running.Go(func() {
		defer stop()
		for _, last := range before {
			<-last
		}
		ctx, cancel := limit.Context(ctx)
		defer cancel()
		f := a.run(ctx, work)
		close(done)
		if f == nil && len(about) == 0 {
			return
		}
		a.post(func(h *hub) {
			for _, name := range about {
				if e.turns[name] == done {
					delete(e.turns, name)
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
func (e *errands) endHooks() {
	impatient := time.AfterFunc(time.Duration(hooks.OfEnd), e.stop)
	e.running.Wait()
	impatient.Stop()
	e.stop()
}

// script tells plugins of an event of client, see slots.take, and runs its script, if there is one, at most hooksAtOnce at a
// time. Waiting for a free slot counts against ctx.
func (a *aside) script(ctx context.Context, client uint64, c hooks.Call) error {
	if err := a.slots.take(ctx, client); err != nil {
		return &hooks.Error{Tag: c.Tag, Code: -1, Err: err}
	}
	defer a.slots.give(client)
	r := *a.scripts
	r.Security = a.opts.Load().ScriptSecurity
	err := r.TellPlugins(ctx, c)
	if err == nil && c.Command != "" {
		err = r.Run(ctx, c)
	}
	return err
}
