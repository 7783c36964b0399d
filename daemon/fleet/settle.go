package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// intent says what a node wants of a record: to create it, to replace it, or to delete it; the zero value wants nothing.
type intent struct {
	value  []byte // nil deletes
	entry  *entry // nil creates
	wanted bool
}

// settle makes one record of the store what this node knows that it has to be, and tells done whether nothing is left to do: for a lease later, when
// its page is written.
func (m *Member) settle(ctx context.Context, key string, done func(bool)) {
	if slot, ok := leaseSlot(key); ok {
		m.settleLease(slot, done)
		return
	}
	done(m.settleRecord(ctx, key))
}

// settleLease has the lease of a slot written if it is not what it has to be.
func (m *Member) settleLease(slot int, done func(bool)) {
	m.mu.Lock()
	if !m.joined {
		m.mu.Unlock()
		done(false)
		return
	}
	e := m.mirror.leases[slot]
	l, s := m.intendedLease(slot, e), m.bySlot[slot]
	m.mu.Unlock()
	if l == nil {
		done(true)
		return
	}
	m.pages.add(&leaseWrite{slot: slot, lease: l, was: revisionOf(e), session: s, patient: true, done: func(err error) {
		conflict := errors.Is(err, ErrConflict)
		if conflict { // there is another one
			m.work.add(leaseKey(slot))
		}
		done(err == nil || conflict)
	}})
}

func (m *Member) settleRecord(ctx context.Context, key string) bool {
	if id, ok := strings.CutPrefix(key, latePlace+"."); ok {
		return m.settlePlace(ctx, id)
	}
	if about, ok := strings.CutPrefix(key, saying+"."); ok {
		return m.settleWord(ctx, about)
	}
	m.mu.Lock()
	if !m.joined {
		m.mu.Unlock()
		return false
	}
	e := m.mirror.records[key]
	w := m.intended(key, e)
	m.mu.Unlock()
	if !w.wanted {
		return true
	}
	var err error
	switch {
	case w.entry == nil:
		err = m.create(ctx, key, w.value)
	case w.value == nil:
		err = m.remove(ctx, key, e.Revision)
	default:
		err = m.update(ctx, key, w.value, e.Revision)
	}
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.react(key) // it notes that the record is as it has to be
		return true
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnknown) {
		if err := m.refresh(ctx, key); err == nil || errors.Is(err, ErrNotFound) {
			m.work.add(key)
			return true
		}
	}
	return false
}

// intended says what the node wants of a record, of which it has the copy e.
func (m *Member) intended(key string, e *entry) intent {
	kind, _, _ := strings.Cut(key, ".")
	switch kind {
	case kindPlace:
		return m.intendedPlace(key, e)
	case kindSlice:
		if m.slice >= 0 && key == sliceKey(m.slice) && e == nil {
			return intent{value: encode(Slice{Node: m.cfg.Node}), wanted: true}
		}
	}
	return intent{}
}

// intendedLease returns the lease that the node wants in the place of that of a slot, nil for no change.
func (m *Member) intendedLease(slot int, e *entry) *Lease {
	if _, ok := m.trying[slot]; ok {
		return nil // a login is about to write it
	}
	s, l := m.bySlot[slot], as[Lease](e)
	if s != nil && s.writing {
		return nil
	}
	base, burnt := m.burnt[slot]
	if burnt && e != nil && (e.Revision > base || !l.Free) {
		delete(m.burnt, slot) // what was on its way has come, or cannot any more
		burnt = false
	}
	switch {
	case s == nil && burnt:
		m.burn(slot, e)
		return &Lease{Holder: Holder{Node: m.cfg.Node, Epoch: m.epoch}, Free: true}
	case s == nil && l == nil:
		return nil
	case s == nil && (l.Free || l.Node != m.cfg.Node || l.Epoch != m.epoch) && !m.spent(slot, e, time.Now()):
		return nil
	case s == nil:
		free := *l
		free.Free = true
		if _, free.Clean = m.cleanly[l.Session]; free.Clean {
			delete(m.cleanly, l.Session)
		}
		return &free
	case l == nil:
		m.burn(slot, e)
		return s.lease()
	case l.sameSession(&s.Holder) && !l.Free:
		s.rev, s.fence = e.Revision, time.Time{}
		return nil
	case s.rev > 0 && e.Revision > s.rev:
		m.lose(s, l)
		return nil
	case m.mayTake(s, e):
		m.burn(slot, e)
		return s.lease()
	}
	m.lose(s, l)
	return nil
}

// burn notes that a write is on its way about a slot of the node's slice, which replaces what is now: until the record is
// another one the node does not give the slot away.
func (m *Member) burn(slot int, e *entry) {
	if m.geo.sliceOf(slot) < 0 {
		return
	}
	m.burnt[slot] = 0
	if e != nil {
		m.burnt[slot] = e.Revision
	}
}

// mayTake reports whether a session that has an address without the store's knowledge still has the right to it.
func (m *Member) mayTake(s *session, e *entry) bool {
	l := as[Lease](e)
	switch {
	case l.sameSession(&s.Holder):
		return true // taken for over
	case l.sameClient(&s.Holder):
		return e.Revision == s.base || l.Free || m.mirror.over(&l.Holder) || !l.Since.After(s.Since)
	}
	// The node gave away a slot of its slice: nobody else does.
	return m.ofOwnSlice(s.slot) && (l.Free || l.Node == m.cfg.Node)
}

// lose ends a session whose address another has.
func (m *Member) lose(s *session, l *Lease) {
	why := Lost
	if l.sameClient(&s.Holder) {
		why = Moved
	}
	m.expel(s, why)
}

// react acts on what a changed record means for this node.
func (m *Member) react(key string) {
	e := m.mirror.records[key]
	kind, _, _ := strings.Cut(key, ".")
	switch kind {
	case kindPlace:
		m.reactPlace(key, as[Place](e))
	case kindSlice:
		if m.slice >= 0 && key == sliceKey(m.slice) {
			m.work.add(key)
		}
	case kindOrder:
		if e == nil {
			delete(m.carried, strings.TrimPrefix(key, kindOrder+"."))
		}
		m.carryOut(as[Order](e))
	case kindBan:
		m.expelBanned(as[Ban](e))
	case kindRevoked:
		m.expelRevoked(as[Revocation](e))
	}
}

// reactLease acts on what a changed lease means for this node.
func (m *Member) reactLease(slot int) {
	e, s := m.mirror.leases[slot], m.bySlot[slot]
	l := as[Lease](e)
	_, burnt := m.burnt[slot]
	if s != nil && !burnt && l != nil && !l.Free && l.sameSession(&s.Holder) {
		s.rev, s.fence = e.Revision, time.Time{}
	} else if s != nil || burnt || l != nil && !l.Free && l.Node == m.cfg.Node && l.Epoch == m.epoch {
		m.work.add(leaseKey(slot))
	}
	if m.cfg.Limit.Single && l != nil && !l.Free {
		m.keepNewest(l.Identity)
	}
}

// expel ends a session for the fleet's reasons.
func (m *Member) expel(s *session, why Reason) {
	if m.sessions[s.ID] != s {
		return
	}
	m.drop(s)
	if s.slot >= 0 {
		m.leaving[s.slot] = s.ID // nobody here gets the address before the host has taken it back
	}
	m.cfg.Host.End(s.ID, why)
}

// left notes that the host has ended a client.
func (m *Member) left(id uint64) {
	for slot, of := range m.leaving {
		if of == id {
			delete(m.leaving, slot)
		}
	}
}

// drop takes a session out; what it held is settled.
func (m *Member) drop(s *session) {
	delete(m.sessions, s.ID)
	delete(m.byName, s.Session)
	of := slices.DeleteFunc(m.ofOne[s.Client.Identity], func(o *session) bool { return o == s }) // none of those without an identity
	if m.ofOne[s.Client.Identity] = of; len(of) == 0 {
		delete(m.ofOne, s.Client.Identity)
	}
	if s.slot >= 0 && m.bySlot[s.slot] == s {
		delete(m.bySlot, s.slot)
		if _, burnt := m.burnt[s.slot]; !burnt && m.mirror.leases[s.slot] == nil {
			m.folder.ungrant(s.slot) // nobody else ever heard of it
		}
	}
	m.wanted(s)
	if s.place >= 0 {
		if key := placeKey(s.User, s.place); m.places[key] == s {
			delete(m.places, key)
		}
	}
}

// endUnsure ends the sessions whose address the store did not confirm in time.
func (m *Member) endUnsure(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fences {
		return
	}
	m.fences = false
	for _, s := range m.sessions {
		if !s.fence.IsZero() && past(s.fence, now) {
			m.expel(s, Expired)
		} else if !s.fence.IsZero() {
			m.fences = true
		}
	}
}

// past reports whether a time has come by one of the clocks: on a machine that was suspended only the calendar has gone on.
func past(t, now time.Time) bool { return !now.Before(t) || !now.Round(0).Before(t.Round(0)) }
