package netconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Journal is a Net that remembers what was added through it, to take it back. It is safe for concurrent use.
type Journal struct {
	Net
	notes *Notes
	logf  logging.Func

	mu    sync.Mutex // guards what follows
	addrs []addrEntry
	ops   []Op // successful ones, in order
	names ResolverOp
}

type addrEntry struct {
	dev  string
	addr Addr
}

// NewJournal wraps n. Every change of routes goes into notes, which may be nil, before it is made.
func NewJournal(n Net, notes *Notes, logf logging.Func) *Journal {
	return &Journal{Net: n, notes: notes, logf: logf.OrDiscard()}
}

// AddAddr adds and remembers an address.
func (j *Journal) AddAddr(dev string, a Addr) error {
	if err := j.Net.AddAddr(dev, a); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.addrs = append(j.addrs, addrEntry{dev, a})
	return nil
}

// DelAddr deletes and forgets an address.
func (j *Journal) DelAddr(dev string, a Addr) error {
	j.mu.Lock()
	for i, e := range j.addrs {
		if e.dev == dev && e.addr == a {
			j.addrs = append(j.addrs[:i], j.addrs[i+1:]...)
			break
		}
	}
	j.mu.Unlock()
	return j.Net.DelAddr(dev, a)
}

// AddRoute adds and remembers a route. A route that existed before is not ours and stays.
func (j *Journal) AddRoute(r Route) error { return j.do(Op{Route: r, List: true}) }

// DelRoute deletes and forgets a route.
func (j *Journal) DelRoute(r Route) error {
	err := j.Net.DelRoute(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.IndexFunc(j.ops, func(op Op) bool { return op.deed() == deed{route: r} }); i >= 0 {
		op := j.ops[i]
		j.ops = slices.Delete(j.ops, i, i+1)
		j.notes.undid(op, j.ops)
	}
	return err
}

func (j *Journal) do(op Op) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes.did(op) // before the deed: a kill in between costs a failing undo, not a lost one
	var err error
	if op.Delete {
		err = j.Net.DelRoute(op.Route)
	} else {
		err = j.Net.AddRoute(op.Route)
	}
	if err != nil {
		j.notes.undid(op, j.ops)
		return err
	}
	j.ops = append(j.ops, op)
	return nil
}

// Apply runs a plan of PlanRedirect. Steps that fail are logged, left out of the undo, and the rest goes on.
func (j *Journal) Apply(ops []Op) {
	for _, op := range ops {
		if op.Note != "" {
			j.logf(op.Level, "%s", op.Note)
			continue
		}
		if err := j.do(op); err != nil && !errors.Is(err, ErrExists) {
			j.logf(logging.Detail, "route %s: %v", op.Route.Dst, err) // the Net has logged stock's lines
		}
	}
}

// Become makes the routes those of a plan, whatever they were. New ones are added first, then those the plan has no more
// are taken back, the newest first: what is in both never misses a packet, and the way to a server outlasts what made
// it necessary. It reports whether all routes of the list (Op.List) are there.
func (j *Journal) Become(plan []Op) bool {
	ok := true
	wanted := make(map[deed]Op, len(plan))
	for _, op := range plan {
		if op.Note == "" {
			wanted[op.deed()] = op
		}
	}
	there := j.adopt(wanted)
	for _, op := range plan {
		switch {
		case op.Note != "":
			j.logf(op.Level, "%s", op.Note)
		case there[op.deed()]:
		default:
			if err := j.do(op); err != nil && !errors.Is(err, ErrExists) {
				j.logf(logging.Detail, "route %s: %v", op.Route.Dst, err) // the Net has logged stock's lines
				ok = ok && !op.List
			}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.ops
	j.ops = slices.DeleteFunc(slices.Clone(was), func(op Op) bool { _, keep := wanted[op.deed()]; return !keep })
	for _, op := range slices.Backward(was) {
		if _, keep := wanted[op.deed()]; !keep {
			undoOps(j.Net, []Op{op})
			j.notes.undid(op, j.ops)
		}
	}
	return ok
}

// adopt returns which of the wanted operations are done, which then count as those given.
func (j *Journal) adopt(wanted map[deed]Op) map[deed]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	there := make(map[deed]bool)
	for i, op := range j.ops {
		if w, ok := wanted[op.deed()]; ok {
			j.ops[i] = w
			there[op.deed()] = true
		}
	}
	return there
}

// HasRoute reports whether a route for which f holds was added or deleted.
func (j *Journal) HasRoute(f func(Route) bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.ops, func(op Op) bool { return f(op.Route) })
}

// UndoRoutes deletes the routes added and brings back deleted ones, in stock's order: ordinary IPv4 routes, those of
// redirect-gateway, IPv6 routes.
func (j *Journal) UndoRoutes() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ops) == 0 {
		return
	}
	undoOps(j.Net, j.ops)
	j.ops = nil
	j.notes.rewrite(nil)
}

func undoOps(n Net, ops []Op) {
	is4 := func(op Op) bool { return op.Route.Dst.Addr().Is4() }
	undo := func(op Op) {
		if !op.Delete {
			_ = n.DelRoute(op.Route) // logged by the Net
		}
	}
	for _, class := range []func(Op) bool{
		func(op Op) bool { return is4(op) && op.List },
		func(op Op) bool { return is4(op) && !op.List },
		func(op Op) bool { return !is4(op) },
	} {
		for _, op := range ops {
			if class(op) {
				undo(op)
			}
		}
		// A default route can come back only when ours is gone.
		for i := len(ops) - 1; i >= 0; i-- {
			if op := ops[i]; op.Delete && class(op) {
				_ = n.AddRoute(op.Route)
			}
		}
	}
}

// UndoAddrs deletes the addresses added, in order.
func (j *Journal) UndoAddrs() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.addrs {
		_ = j.Net.DelAddr(e.dev, e.addr) // logged by the Net
	}
	j.addrs = nil
}

// SetResolvers tells the host the resolvers of a tunnel instead of those told before. It returns the way it took.
func (j *Journal) SetResolvers(ctx context.Context, h *ResolverHost, r Resolvers) (way string, err error) {
	if err := j.UndoResolvers(ctx, h); err != nil {
		return "", err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	pid := os.Getpid()
	op := h.plan(r.Dev, fmt.Sprintf("%s-%d-%s", r.Dev, pid, processStart(pid)))
	j.notes.resolver(op)
	j.names = op
	return op.Way, h.set(ctx, op, r)
}

// UndoResolvers takes back what SetResolvers did, also where that failed half way. After an error the notes keep it.
func (j *Journal) UndoResolvers(ctx context.Context, h *ResolverHost) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.names.Way == "" {
		return nil
	}
	op := j.names
	j.names = ResolverOp{}
	if err := h.undo(ctx, op); err != nil {
		return fmt.Errorf("restore resolvers: %w", err)
	}
	j.notes.resolver(ResolverOp{})
	return nil
}

// Undo is UndoRoutes, then UndoAddrs.
func (j *Journal) Undo() {
	j.UndoRoutes()
	j.UndoAddrs()
}
