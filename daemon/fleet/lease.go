package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// Begin lets a client in and returns its slot of the pool, -1 for one with an address of its own. It waits for the store until ctx
// ends; then the client gets a slot of the node's slice. After an error the client is not in.
func (m *Member) Begin(ctx context.Context, c Client) (slot int, err error) {
	m.mu.Lock()
	if err := m.refuses(&c); err != nil {
		m.mu.Unlock()
		return -1, err
	}
	s := m.newSession(c)
	m.admit(s)
	m.mu.Unlock()
	if !c.Fixed && m.cfg.Slots > 0 {
		err = m.takeSlot(ctx, s)
	}
	if err == nil {
		err = m.takePlace(ctx, s) // last: it may end another session
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		err = m.isIn(s)
	}
	if err != nil {
		if m.sessions[c.ID] == s {
			m.drop(s)
		}
		m.left(c.ID)
		return -1, err
	}
	return s.slot, nil
}

// BeginNow is [Member.Begin] for a client that need not wait. It reports false, and has done nothing, for one that must, or may not come in.
func (m *Member) BeginNow(c Client) (slot int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.cfg.Limit; c.Fixed || l.Max > 0 && !l.Single && c.User != "" || m.refuses(&c) != nil {
		return -1, false
	}
	s := m.newSession(c)
	at := m.chooseNow(s, time.Now())
	if !at.found {
		return -1, false
	}
	m.admit(s)
	m.occupy(s, at)
	_ = m.isIn(s) // if the fleet has ended it, the host hears of that
	return at.slot, true
}

// newSession is a session of a client, which is not in yet.
func (m *Member) newSession(c Client) *session {
	m.begun++
	c.Identity, c.Mark = bounded(c.Identity), bounded(c.Mark)
	return &session{Client: c, slot: -1, place: -1, Holder: Holder{
		Node: m.cfg.Node, Epoch: m.epoch, Session: m.epoch + "-" + strconv.FormatUint(m.begun, 10), Identity: c.Identity, Mark: c.Mark,
	}}
}

// admit adds a session, which looks for a slot and a place from now on.
func (m *Member) admit(s *session) {
	m.sessions[s.ID], m.byName[s.Session] = s, s
	if s.Client.Identity != "" {
		m.ofOne[s.Client.Identity] = append(m.ofOne[s.Client.Identity], s)
	}
}

// isIn lets a session in that has what it needs, or fails if the fleet has ended it meanwhile.
func (m *Member) isIn(s *session) error {
	if m.cfg.Limit.Single && s.slot >= 0 {
		m.keepNewest(s.Client.Identity) // a newer lease may have come before this one had its slot
	}
	if m.sessions[s.ID] != s {
		return ErrEnded
	}
	m.wanted(s)
	return nil
}

// textMost is how many bytes of JSON a client's texts may take in a record that others share. Longer ones are told apart by their sums.
const textMost = 64

func bounded(s string) string {
	if short(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func short(s string) bool {
	const quotes, longest = 2, 6 // a byte is written as six at the most
	return len(s) <= textMost/longest || len(s) <= textMost && len(encode(s))-quotes <= textMost
}

// End tells that a client is gone: once for each that Begin let in, if the fleet has ended it too. cleanly says that it said goodbye, and so is not on its way to another node.
func (m *Member) End(id uint64, cleanly bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left(id)
	s := m.sessions[id]
	if s == nil {
		return
	}
	if l := as[Lease](m.mirror.leases[s.slot]); cleanly && l != nil && l.sameSession(&s.Holder) {
		m.cleanly[s.Session] = struct{}{}
	}
	m.drop(s)
}

// Forgo tells that a client does not need the slot that it got: it has an address of its own.
func (m *Member) Forgo(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil || s.slot < 0 {
		return
	}
	slot := s.slot
	if m.bySlot[slot] == s {
		delete(m.bySlot, slot)
	}
	s.slot, s.rev, s.base, s.fence = -1, 0, 0, time.Time{}
	s.late = m.limitOf(s).Max > 0 && s.place < 0
	m.work.add(leaseKey(slot))
	m.wanted(s)
}

// takeSlot finds a session a slot of the pool.
func (m *Member) takeSlot(ctx context.Context, s *session) error {
	for online := true; ; {
		m.mu.Lock()
		if m.sessions[s.ID] != s {
			m.mu.Unlock()
			return ErrEnded
		}
		c := m.choose(s, online && ctx.Err() == nil && !m.away && m.joined, time.Now())
		if joins := online && !m.away && !m.joined; joins && c.entry == nil && ctx.Err() == nil {
			m.mu.Unlock()
			_ = pause.For(ctx, 10*time.Millisecond) // the store answers, and will soon say what the client had
			continue
		}
		if !c.found {
			soon := len(m.leaving) > 0
			m.mu.Unlock()
			if !soon || pause.For(ctx, 10*time.Millisecond) != nil {
				return ErrExhausted
			}
			continue
		}
		if c.local {
			m.occupy(s, c)
			grant := m.ofOwnSlice(c.slot)
			m.mu.Unlock()
			if grant {
				return m.folder.grant(c.slot)
			}
			return nil
		}
		m.trying[c.slot] = struct{}{}
		lease := s.lease()
		m.mu.Unlock()
		key := leaseKey(c.slot)
		err := m.writeLease(ctx, &leaseWrite{slot: c.slot, lease: lease, was: c.base(), newcomer: c.entry == nil})
		switch {
		case errors.Is(err, ErrUnknown):
			_ = m.refresh(ctx, pageKey(m.geo.pageOf(c.slot)))
		case errors.Is(err, ErrAway):
			online = false
		}
		m.mu.Lock()
		delete(m.trying, c.slot)
		m.work.add(key)
		e := m.mirror.leases[c.slot]
		if l := as[Lease](e); l != nil && !l.Free && l.sameSession(&s.Holder) && m.sessions[s.ID] == s {
			s.slot, s.rev = c.slot, e.Revision
			m.bySlot[c.slot] = s
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
	}
}

// occupy gives a session a slot that the store need not be asked for.
func (m *Member) occupy(s *session, c choice) {
	s.slot, s.base, s.fence = c.slot, c.base(), c.fence
	m.bySlot[c.slot] = s
	m.fences = m.fences || !c.fence.IsZero()
	if c.stocked {
		m.give(s)
	}
}

// ofOwnSlice reports whether a slot is of the node's slice.
func (m *Member) ofOwnSlice(slot int) bool {
	return m.slice >= 0 && m.geo.sliceOf(slot) == m.slice
}

// choice is a slot for a session.
type choice struct {
	found bool
	slot  int
	entry *entry // the lease that is replaced, nil for none
	// local says that the store need not be asked: the slot is of this node's slice, or the client had it elsewhere and keeps it
	// until the store confirms that, or until fence.
	local bool
	fence time.Time
	// stocked says that the slot is of this node's stock.
	stocked bool
}

func (c *choice) base() uint64 { return revisionOf(c.entry) }

// choose chooses a slot: the one that the client has, or the identity had; else the one that nobody has had for the longest time.
// Without the store that is one of the node's slice, but for a client that had a slot when the store was last heard of. A node that has many newcomers gives
// them slots of its stock.
func (m *Member) choose(s *session, online bool, now time.Time) choice {
	if c := m.former(s, online, now); c.found {
		return c
	}
	if online && m.open() {
		c := m.ofStock()
		m.restock(now)
		if !c.found {
			c = m.leastRecent(now)
		}
		if c.found {
			return c
		}
	}
	return m.ofSlice(s, now)
}

// chooseNow is choose for a client that does not wait for the store, nor for the disk.
func (m *Member) chooseNow(s *session, now time.Time) (c choice) {
	online := m.joined && !m.away
	if c = m.former(s, online, now); c.found {
		if !c.local || m.ofOwnSlice(c.slot) {
			return choice{}
		}
		return c
	}
	if online && m.open() {
		if c = m.ofStock(); c.found {
			m.restock(now)
		}
	}
	return c
}

// open reports whether what the store does not hold is free.
func (m *Member) open() bool {
	id := as[identityOfStore](m.mirror.records[kindStore])
	return id != nil && id.Open
}

// former is a slot that the session's client or identity had.
func (m *Member) former(s *session, online bool, now time.Time) choice {
	var best choice
	var held bool
	fence := m.synced.Add(m.cfg.LeaseTime - margin)
	for _, slot := range m.mirror.byIdentity[s.Client.Identity] {
		e := m.mirror.leases[slot]
		if slot >= m.cfg.Slots || !m.free(slot) || best.found && newer(best.entry, e) {
			continue
		}
		l, slice := as[Lease](e), m.geo.sliceOf(slot)
		same := l.sameClient(&s.Holder)
		ended := l.Free || m.mirror.over(&l.Holder) || m.saidGoodbye(l)
		keeps := same && (!ended || m.ownBefore(e, now))
		ours := l.Node == m.cfg.Node && l.Epoch == m.epoch // and its session is over, or the slot would not be free
		switch {
		case l.Free && slice >= 0 && slice != m.slice:
			continue // its node alone gives it away
		case keeps || same && online:
		case online && (l.Free && l.Clean || (ended || ours) && l.Mark == "" || m.saidGoodbye(l)):
		default:
			continue
		}
		best, held = choice{found: true, slot: slot, entry: e}, keeps
		if until := e.over.Add(m.cfg.LeaseTime - margin); !e.over.IsZero() && until.Before(fence) {
			fence = until
		}
	}
	if !best.found || online && !held {
		return best
	}
	best.local, best.fence = true, fence
	if m.synced.IsZero() || !held || past(best.fence, now) {
		if online {
			best.local, best.fence = false, time.Time{}
			return best
		}
		return choice{}
	}
	return best
}

// ownBefore reports whether a lease was held in an earlier run of this node, which this run ended by its record: until the lease's time is over nobody but its
// client may have the slot.
func (m *Member) ownBefore(e *entry, now time.Time) bool {
	l := as[Lease](e)
	return l.Node == m.cfg.Node && !l.Free && !e.over.IsZero() && !past(e.over.Add(m.cfg.LeaseTime-margin), now)
}

// newer reports whether a is the later of two leases of an identity. A session has two when one of them was written too late for it: that
// one is free, and may be at a higher revision.
func newer(a, b *entry) bool {
	x, y := as[Lease](a), as[Lease](b)
	if x.sameSession(&y.Holder) && x.Free != y.Free {
		return y.Free
	}
	return a.Revision > b.Revision
}

// saidGoodbye reports whether a lease is of a session that this node has just seen end for good.
func (m *Member) saidGoodbye(l *Lease) bool {
	_, ok := m.cleanly[l.Session]
	return ok && l.Node == m.cfg.Node && l.Epoch == m.epoch
}

// free reports whether no session of this node has a slot, or is about to get it.
func (m *Member) free(slot int) bool {
	_, trying := m.trying[slot]
	_, leaving := m.leaving[slot]
	return m.bySlot[slot] == nil && !trying && !leaving
}

// reusable reports whether the lease of a slot is over, and its time too: any client may have the slot.
func (m *mirror) reusable(e *entry, time time.Duration, now time.Time) bool {
	return !e.over.IsZero() && now.Sub(e.over) >= time
}

// leastRecent is the slot for all nodes that nobody had, else the one whose lease was written first. Nodes begin their search in
// different places, so that they rarely want the same slot.
func (m *Member) leastRecent(now time.Time) choice {
	shared := m.geo.shared()
	first := int(hashOf(m.cfg.Node) % uint32(max(shared, 1)))
	slotAt := func(n int) int { return (first + n) % shared }
	for n := m.fresh; n < shared; n++ {
		slot := slotAt(n)
		switch {
		case m.mirror.leases[slot] != nil && n == m.fresh:
			m.fresh++
		case m.mirror.leases[slot] == nil && m.free(slot) && !m.foreign(m.geo.pageOf(slot)):
			return choice{found: true, slot: slot}
		}
	}
	var best choice
	for n := range shared {
		slot := slotAt(n)
		e := m.mirror.leases[slot]
		switch {
		case e == nil && m.free(slot) && !m.foreign(m.geo.pageOf(slot)):
			return choice{found: true, slot: slot}
		case e == nil || best.found && e.Revision >= best.entry.Revision: // first, for it costs least
		case m.mirror.reusable(e, m.cfg.LeaseTime, now) && m.free(slot):
			best = choice{found: true, slot: slot, entry: e}
		}
	}
	return best
}

// ofSlice is a slot of the node's own slice. Only this node gives away a slot whose lease is free. It leaves one alone that is held, even by a
// session that is over: the client may have taken it along to another node meanwhile.
func (m *Member) ofSlice(s *session, now time.Time) choice {
	if m.slice < 0 {
		return choice{}
	}
	first := m.geo.first(m.slice)
	for slot := first; slot < first+m.geo.size; slot++ {
		_, burnt := m.burnt[slot]
		e := m.mirror.leases[slot]
		if m.free(slot) && !burnt && (e == nil || as[Lease](e).Free && m.mirror.reusable(e, m.cfg.LeaseTime, now)) {
			return choice{found: true, slot: slot, entry: e, local: true}
		}
	}
	return choice{}
}

// tidySlice frees the leases of the node's slice whose sessions and time are over: then the node may give their slots away again.
func (m *Member) tidySlice(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slice < 0 || !m.joined {
		return
	}
	first := m.geo.first(m.slice)
	for slot := first; slot < first+m.geo.size; slot++ {
		if m.spent(slot, m.mirror.leases[slot], now) {
			m.work.add(leaseKey(slot))
		}
	}
}

// spent reports whether a lease of the node's slice is held though its session and its time are over.
func (m *Member) spent(slot int, e *entry, now time.Time) bool {
	return m.slice >= 0 && m.geo.sliceOf(slot) == m.slice && e != nil && !as[Lease](e).Free && m.mirror.reusable(e, m.cfg.LeaseTime, now)
}
