package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// turn lets the logins of one user at this node claim places one after another.
type turn struct {
	gate  chan struct{}
	users int
}

// inTurn waits for a user's turn until ctx ends. The caller ends its turn.
func (m *Member) inTurn(ctx context.Context, user string) (end func(), ok bool) {
	m.mu.Lock()
	t := m.userTurn[user]
	if t == nil {
		t = &turn{gate: make(chan struct{}, 1)}
		m.userTurn[user] = t
	}
	t.users++
	m.mu.Unlock()
	leave := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(m.userTurn, user)
		}
	}
	select {
	case t.gate <- struct{}{}:
		return func() { <-t.gate; leave() }, true
	case <-ctx.Done():
		leave()
		return nil, false
	}
}

// takePlace claims one of the places of a session's user. A client with a token does not wait: its place is claimed in the
// background, and so is that of others while the store is away, unless the limit is strict.
func (m *Member) takePlace(ctx context.Context, s *session) error {
	m.mu.Lock()
	online, limit := m.joined && !m.away, m.limitOf(s)
	m.mu.Unlock()
	if limit.Max == 0 || s.User == "" {
		return nil
	}
	if online && !s.Returning && !limit.Single {
		switch err := m.claimInTurn(ctx, s, false); {
		case err == nil, errors.Is(err, ErrLimit), errors.Is(err, ErrEnded):
			return err
		}
		online = false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.ID] != s {
		return ErrEnded
	}
	if !online {
		if err := m.countOwn(s); err != nil {
			return err
		}
	}
	s.late = true
	return nil
}

// countOwn applies a limit to the node's own sessions, for the time that the store is away.
func (m *Member) countOwn(s *session) error {
	limit := m.limitOf(s)
	if limit.Max == 0 {
		return nil
	}
	var own []*session
	for _, o := range m.sessions {
		if counted := o.late || o.place >= 0; counted && o != s && o.User == s.User && !o.sameClient(&s.Holder) {
			own = append(own, o)
		}
	}
	if limit.Strict {
		for n := range limit.Max {
			if p := as[Place](m.mirror.records[placeKey(s.User, n)]); p != nil && p.sameClient(&s.Holder) {
				return nil // it takes its own place along
			}
		}
		return fmt.Errorf("%w: the fleet cannot be asked, and its limit is strict", ErrLimit)
	}
	excess := len(own) + 1 - limit.Max
	if excess <= 0 {
		return nil
	}
	if limit.Oldest {
		return ErrLimit
	}
	slices.SortFunc(own, func(a, b *session) int { return a.Since.Compare(b.Since) })
	for _, o := range own[:excess] {
		m.expel(o, Limited)
	}
	return nil
}

func (m *Member) claimInTurn(ctx context.Context, s *session, late bool) error {
	end, ok := m.inTurn(ctx, s.User)
	if !ok {
		return ErrAway
	}
	defer end()
	return m.claim(ctx, s, late)
}

// claim writes a session into a place of its user. late says that the session began some time ago: then it has no right to the
// place of a younger one.
func (m *Member) claim(ctx context.Context, s *session, late bool) error {
	for sure := false; ctx.Err() == nil; {
		m.mu.Lock()
		limit := m.limitOf(s)
		if limit.Max == 0 { // there was one when the claim began
			s.late = false
		}
		m.mu.Unlock()
		if limit.Max == 0 {
			return nil
		}
		n, e, err := m.freePlace(ctx, s, limit, late)
		if errors.Is(err, ErrLimit) && !sure { // a place may be free that the copy does not know of
			if err := m.readPlaces(ctx, s.User); err != nil {
				return err
			}
			sure = true
			continue
		}
		if err != nil {
			return err
		}
		key, value := placeKey(s.User, n), encode(Place{Holder: s.Holder, Since: s.Since})
		if e == nil {
			err = m.create(ctx, key, value)
		} else {
			err = m.update(ctx, key, value, e.Revision)
		}
		if errors.Is(err, ErrAway) {
			return err
		}
		if errors.Is(err, ErrUnknown) && e != nil {
			m.mu.Lock()
			m.unsure[key] = e.Revision
			m.mu.Unlock()
			m.work.add(key)
		}
		if err != nil {
			if err := m.refresh(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		m.mu.Lock()
		p := as[Place](m.mirror.records[key])
		ours := p != nil && p.sameSession(&s.Holder)
		switch {
		case m.sessions[s.ID] != s:
			m.work.add(key) // it is given back
			err = ErrEnded
		case ours:
			s.place, s.late = n, false
			m.places[key] = s
			m.mu.Unlock()
			if !late && !limit.Oldest {
				m.endBeyond(ctx, s, limit)
			}
			return nil
		default:
			err = nil
		}
		m.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return ErrAway
}

// beyond are a user's places that a limit no longer has, of sessions that began while it was higher. m.mu is held.
func (m *Member) beyond(user string, limit Limit) (list []*entry) {
	for n := limit.Max; n < m.mirror.places; n++ {
		if e := m.mirror.records[placeKey(user, n)]; as[Place](e) != nil {
			list = append(list, e)
		}
	}
	return list
}

// endBeyond ends the sessions of a session's user that its limit no longer has places for: it takes their places, and gives them back.
func (m *Member) endBeyond(ctx context.Context, s *session, limit Limit) {
	m.mu.Lock()
	list, value := m.beyond(s.User, limit), encode(Place{Holder: s.Holder, Since: s.Since})
	m.mu.Unlock()
	for _, e := range list {
		_ = m.update(ctx, e.Key, value, e.Revision) // what has changed meanwhile is the next login's
		m.work.add(e.Key)
	}
}

// readPlaces reads the places of a user.
func (m *Member) readPlaces(ctx context.Context, user string) error {
	prefix := Key(kindPlace, user)
	var list []Record
	m.mu.Lock()
	had := make(map[string]uint64)
	for n := range max(m.cfg.Limit.Max, 1, m.mirror.places) {
		if e := m.mirror.records[placeKey(user, n)]; e != nil {
			had[e.Key] = e.Revision
		}
	}
	m.mu.Unlock()
	err := m.call(ctx, func(ctx context.Context) (err error) {
		list, err = m.cfg.Store.List(ctx, prefix)
		return err
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range list {
		m.learn(Change{Record: r})
		delete(had, r.Key)
	}
	for key, rev := range had {
		if e := m.mirror.records[key]; e != nil && e.Revision == rev {
			m.forget(key, time.Now())
		}
	}
	return nil
}

// freePlace is the place that a session may take: its client's own, one that nobody has, one of a session that is over or on a
// node that has fallen silent, or, where the newest wins, the oldest session's.
func (m *Member) freePlace(ctx context.Context, s *session, limit Limit, late bool) (int, *entry, error) {
	type held struct {
		n int
		e *entry
		p *Place
	}
	var all []held
	vacant := -1
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range limit.Max {
		e := m.mirror.records[placeKey(s.User, n)]
		switch p := as[Place](e); {
		case p == nil:
			if vacant < 0 {
				vacant = n
			}
		case p.sameClient(&s.Holder), p.sameSession(&s.Holder):
			return n, e, nil
		default:
			all = append(all, held{n, e, p})
		}
	}
	if limit.Oldest { // as many as there may be can be in, in places that the limit no longer has
		in := len(all)
		for _, e := range m.beyond(s.User, limit) {
			if p := as[Place](e); !p.sameClient(&s.Holder) && !m.mirror.silent(&p.Holder, time.Now()) {
				in++
			}
		}
		if in >= limit.Max && vacant >= 0 {
			return 0, nil, ErrLimit
		}
	}
	if vacant >= 0 {
		return vacant, nil, nil
	}
	for _, h := range all {
		if h.p.Node == m.cfg.Node && h.p.Epoch == m.epoch {
			if m.places[h.e.Key] == nil {
				return h.n, h.e, nil // on its way out
			}
			continue
		}
		if !m.mirror.silent(&h.p.Holder, time.Now()) {
			continue
		}
		m.mu.Unlock()
		err := m.refresh(ctx, nodeKey(h.p.Node)) // the watch may stand still
		m.mu.Lock()
		if (err == nil || errors.Is(err, ErrNotFound)) && m.mirror.silent(&h.p.Holder, time.Now()) {
			return h.n, h.e, nil
		}
	}
	oldest := slices.MinFunc(all, func(a, b held) int {
		return cmp.Or(a.p.Since.Compare(b.p.Since), strings.Compare(a.p.Session, b.p.Session))
	})
	if limit.Oldest || late && oldest.p.Since.After(s.Since) {
		return 0, nil, ErrLimit
	}
	return oldest.n, oldest.e, nil
}

// settlePlace claims the place of a session in the background.
func (m *Member) settlePlace(ctx context.Context, id string) bool {
	m.mu.Lock()
	s := m.byName[id]
	online := m.joined
	m.mu.Unlock()
	if s == nil || !s.late {
		return true
	}
	if !online {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*callLimit)
	defer cancel()
	err := m.claimInTurn(ctx, s, true)
	if errors.Is(err, ErrLimit) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.expel(s, Limited)
	}
	return err == nil || errors.Is(err, ErrLimit) || errors.Is(err, ErrEnded)
}

// reactPlace ends a session whose place another has, and those of one identity that need none.
func (m *Member) reactPlace(key string, p *Place) {
	if m.cfg.Limit.Single && p != nil {
		for _, s := range slices.Clone(m.ofOne[p.Identity]) {
			if s.slot >= 0 && !p.sameSession(&s.Holder) && !p.sameClient(&s.Holder) && !m.mirror.over(&p.Holder) {
				m.expel(s, Limited)
			}
		}
	}
	s := m.places[key]
	switch {
	case s == nil && p == nil:
	case s == nil || p == nil || p.sameSession(&s.Holder):
		m.work.add(key)
	case p.sameClient(&s.Holder):
		m.expel(s, Moved)
	default:
		m.expel(s, Limited)
	}
}

// intendedPlace says what the node wants of a place.
func (m *Member) intendedPlace(key string, e *entry) intent {
	s, p := m.places[key], as[Place](e)
	if rev, ok := m.unsure[key]; ok && (e == nil || e.Revision > rev) {
		delete(m.unsure, key) // what was on its way has come, or cannot any more
	} else if ok {
		return intent{value: e.bytes(), entry: e, wanted: true} // it must not take the place for a session that may be over
	}
	switch {
	case s != nil && p == nil:
		return intent{value: encode(Place{Holder: s.Holder, Since: s.Since}), wanted: true}
	case s == nil && p != nil && p.Node == m.cfg.Node && p.Epoch == m.epoch && m.claiming(p.Session) == nil:
		return intent{entry: e, wanted: true}
	}
	return intent{}
}

// claiming is a session that is about to find that it has a place, nil for none.
func (m *Member) claiming(id string) *session {
	if s := m.byName[id]; s != nil && s.place < 0 {
		return s
	}
	return nil
}
