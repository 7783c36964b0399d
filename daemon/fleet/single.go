package fleet

import (
	"slices"
	"time"
)

// limitOf is the limit that counts places for a session. Where an identity has one session, that is shown by leases, and only a client with an address of its own
// has a place.
func (m *Member) limitOf(s *session) Limit {
	switch l := m.cfg.Limit; {
	case !l.Single:
		return l
	case s.slot < 0:
		return Limit{Single: true, Max: 1}
	}
	return Limit{}
}

// keepNewest ends the sessions that this node has of an identity but for the newest, after news of a lease and after a login. All nodes see the same leases,
// so all of them keep the same one.
func (m *Member) keepNewest(identity string) {
	own := m.ofOne[identity]
	if len(own) == 0 || identity == "" {
		return
	}
	newest := -1
	for _, slot := range slices.Sorted(slices.Values(m.mirror.byIdentity[identity])) {
		if l := as[Lease](m.mirror.leases[slot]); l.Free || m.mirror.over(&l.Holder) {
			continue
		}
		if newest < 0 || m.mirror.youngerThan(slot, newest) {
			newest = slot
		}
	}
	if newest < 0 {
		return
	}
	of := as[Lease](m.mirror.leases[newest])
	written := func(s *session) bool {
		l := as[Lease](m.mirror.leases[s.slot])
		return l != nil && l.sameSession(&s.Holder)
	}
	for _, s := range slices.Clone(own) {
		switch {
		case of.sameSession(&s.Holder), of.sameClient(&s.Holder):
		case s.slot >= 0 && written(s), s.slot < 0 && (s.place >= 0 || s.late): // else its login is not over, or the store is to hear of it
			m.expel(s, Limited)
		}
	}
}

// clocksApart is how far the nodes' calendars may be apart.
const clocksApart = 2 * time.Minute

// youngerThan reports whether the session of one lease is younger than that of another: by the calendars where they are sure, for a lease can be written long after
// its session began; else by the order of their writes.
func (m *mirror) youngerThan(slot, than int) bool {
	a, b := m.leases[slot], m.leases[than]
	switch d := as[Lease](a).Since.Sub(as[Lease](b).Since); {
	case d > clocksApart:
		return true
	case d < -clocksApart:
		return false
	case a.Revision != b.Revision:
		return a.Revision > b.Revision
	}
	return slot > than
}
