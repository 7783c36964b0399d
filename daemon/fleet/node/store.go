package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/jet"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// Store is the store of the engine that runs now. While none does, it is away.
type Store store

var _ fleet.Store = (*Store)(nil)

type store struct {
	wake chan struct{} // the engine's owner looks again

	mu      sync.Mutex
	now     *jet.Store // nil for none
	mode    string
	lame    error         // why the engine keeps nothing, nil when it does
	changed chan struct{} // closed when now changes
}

func newStore() *store {
	return &store{changed: make(chan struct{}), wake: make(chan struct{}, 1)}
}

func (s *store) use(next *jet.Store, mode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.mode, s.lame = next, mode, nil
	close(s.changed)
	s.changed = make(chan struct{})
}

// limps notes why the engine keeps nothing, and reports whether that is news.
func (s *store) limps(why error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.lame == nil
	s.lame = why
	return news
}

func (s *Store) current() (now *jet.Store, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

var errNoEngine = fmt.Errorf("%w: the node's engine does not run", fleet.ErrAway)

// Get implements [fleet.Store].
func (s *Store) Get(ctx context.Context, key string) (fleet.Record, error) {
	if now, _ := s.current(); now != nil {
		return now.Get(ctx, key)
	}
	return fleet.Record{}, errNoEngine
}

// List implements [fleet.Store].
func (s *Store) List(ctx context.Context, prefix string) ([]fleet.Record, error) {
	if now, _ := s.current(); now != nil {
		return now.List(ctx, prefix)
	}
	return nil, errNoEngine
}

// Create implements [fleet.Store].
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if now, _ := s.current(); now != nil {
		return now.Create(ctx, key, value)
	}
	return 0, errNoEngine
}

// Update implements [fleet.Store].
func (s *Store) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if now, _ := s.current(); now != nil {
		return now.Update(ctx, key, value, last)
	}
	return 0, errNoEngine
}

// Delete implements [fleet.Store].
func (s *Store) Delete(ctx context.Context, key string, last uint64) error {
	if now, _ := s.current(); now != nil {
		return now.Delete(ctx, key, last)
	}
	return errNoEngine
}

// Head implements [fleet.Store]. A store that another engine begins counts from 0 again.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	if now, _ := s.current(); now != nil {
		return now.Head(ctx)
	}
	return 0, errNoEngine
}

// Watch implements [fleet.Store]. It goes on with the next engine.
func (s *Store) Watch(ctx context.Context, prefix string) <-chan fleet.Change {
	out := make(chan fleet.Change, 256)
	now, changed := s.current()
	var in <-chan fleet.Change
	one, stop := context.WithCancel(ctx)
	if now != nil { // at once: a change after Watch has returned is one of its
		in = now.Watch(one, prefix)
	}
	go func() {
		defer close(out)
		defer func() { stop() }()
		for {
			select {
			case c, open := <-in:
				if !open {
					in = nil
					continue
				}
				select {
				case out <- c:
				default:
				}
			case <-changed:
				stop()
				one, stop = context.WithCancel(ctx)
				in = nil
				if now, changed = s.current(); now != nil {
					in = now.Watch(one, prefix)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// leader names the node that leads the engine, and says in which mode it runs.
func (s *Store) leader(ctx context.Context) (mode, leader string, err error) {
	s.mu.Lock()
	now, mode, lame := s.now, s.mode, s.lame
	s.mu.Unlock()
	switch {
	case now == nil:
		return mode, "", errors.New("the node's engine does not run")
	case lame != nil:
		return mode, "", lame
	}
	if mode == modeAlone {
		_, err = now.Head(ctx)
		return mode, "", err
	}
	leader, err = now.Leader(ctx)
	return mode, pki.NodeOf(leader), err
}
