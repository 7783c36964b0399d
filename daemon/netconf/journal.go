package netconf

import (
	"errors"
	"slices"
	"sync"
)

// Journal is a Net that remembers what was added through it, to take it back. It is safe for concurrent use.
type Journal struct {
	Net
	path string
	logf Logf

	mu    sync.Mutex // guards what follows
	addrs []addrEntry
	ops   []Op // successful ones, in order
}

type addrEntry struct {
	dev  string
	addr Addr
}

// NewJournal wraps n. path is the file that survives a kill, for Recover ("" keeps none); its folder must exist. It is
// written with every change of routes and removed when all are undone.
func NewJournal(n Net, path string, logf Logf) *Journal {
	return &Journal{Net: n, path: path, logf: logf.orDiscard()}
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
	j.mu.Lock()
	for i, op := range j.ops {
		if !op.Delete && op.Route == r {
			j.ops = append(j.ops[:i], j.ops[i+1:]...)
			j.save()
			break
		}
	}
	j.mu.Unlock()
	return j.Net.DelRoute(r)
}

func (j *Journal) do(op Op) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Written before the deed: a kill in between costs a failing undo, not a lost one.
	j.ops = append(j.ops, op)
	j.save()
	var err error
	if op.Delete {
		err = j.Net.DelRoute(op.Route)
	} else {
		err = j.Net.AddRoute(op.Route)
	}
	if err != nil {
		j.ops = j.ops[:len(j.ops)-1]
		j.save()
	}
	return err
}

// Apply runs a plan of PlanRedirect. Steps that fail are logged, left out of the undo, and the rest goes on.
func (j *Journal) Apply(ops []Op) {
	for _, op := range ops {
		if op.Note != "" {
			j.logf(op.Verb, "%s", op.Note)
			continue
		}
		if err := j.do(op); err != nil && !errors.Is(err, ErrExists) {
			j.logf(4, "route %s: %v", op.Route.Dst, err) // the Net has logged stock's lines
		}
	}
}

// Become makes the routes those of a plan, whatever they were. New ones are added first, then those the plan has no more
// are taken back, the newest first: what is in both never misses a packet, and the way to a server outlasts what made
// it necessary. It reports whether all routes of the list (Op.List) are there.
func (j *Journal) Become(plan []Op) bool {
	ok := true
	for _, op := range plan {
		switch {
		case op.Note != "":
			j.logf(op.Verb, "%s", op.Note)
		case j.has(op):
		default:
			if err := j.do(op); err != nil && !errors.Is(err, ErrExists) {
				j.logf(4, "route %s: %v", op.Route.Dst, err) // the Net has logged stock's lines
				ok = ok && !op.List
			}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.ops) - 1; i >= 0; i-- {
		if op := j.ops[i]; !slices.ContainsFunc(plan, op.same) {
			undoOps(j.Net, []Op{op})
			j.ops = slices.Delete(j.ops, i, i+1)
			j.save()
		}
	}
	return ok
}

// HasRoute reports whether a route for which f holds was added or deleted.
func (j *Journal) HasRoute(f func(Route) bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.ops, func(op Op) bool { return f(op.Route) })
}

// has reports whether an operation was done, which then counts as the one given.
func (j *Journal) has(op Op) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.IndexFunc(j.ops, op.same)
	if i >= 0 {
		j.ops[i] = op
	}
	return i >= 0
}

// same tells operations that do the same to the system.
func (op Op) same(other Op) bool {
	return op.Note == "" && other.Note == "" && op.Delete == other.Delete && op.Route == other.Route
}

// UndoRoutes deletes the routes added and brings back deleted ones, in stock's order: ordinary IPv4 routes, those of
// redirect-gateway, IPv6 routes.
func (j *Journal) UndoRoutes() {
	j.mu.Lock()
	defer j.mu.Unlock()
	undoOps(j.Net, j.ops)
	j.ops = nil
	j.save()
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

// Undo is UndoRoutes, then UndoAddrs.
func (j *Journal) Undo() {
	j.UndoRoutes()
	j.UndoAddrs()
}
