package index

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// States of sessions.
const (
	SessionOpen  = "open"
	SessionEnded = "ended"
	SessionLost  = "lost" // the daemon was killed: Until is the next start
)

// Session is a tunnel from its connect to its disconnect event.
type Session struct {
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero while it is open
	Run     int64     `json:"run"`
	CID     *uint64   `json:"cid,omitempty"`
	User    string    `json:"user,omitempty"`
	CN      string    `json:"cn,omitempty"`
	Address string    `json:"address,omitempty"`
	Port    uint16    `json:"port,omitempty"`
	Tunnel  []string  `json:"tunnel,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	In      uint64    `json:"in,omitempty"`
	Out     uint64    `json:"out,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
}

// SessionFilter chooses sessions: those that have all that is set.
type SessionFilter struct {
	User, CN, Address string
	Tunnel            netip.Addr // led to the client
	// From and Before bound the time of the session. Began has only its beginning count, else any moment of it does.
	From, Before time.Time
	Began        bool
}

// Sessions returns the sessions of the journal in dir that a filter takes, in the order of their beginning.
func Sessions(ctx context.Context, dir string, f SessionFilter) ([]Session, error) {
	return SessionsBy(func(f Filter) ([]journal.Event, error) { return Query(ctx, dir, f) }, f)
}

// SessionsBy is Sessions of a journal that query answers for.
func SessionsBy(query func(Filter) ([]journal.Event, error), f SessionFilter) ([]Session, error) {
	runs, err := query(Filter{Kinds: runKinds})
	if err != nil {
		return nil, err
	}
	since := f.From
	if !f.Began && !since.IsZero() { // a session that was open then has begun since its daemon started
		since = time.Time{}
		for _, e := range runs {
			if e.Kind == journal.KindStart && e.Time.Before(f.From) {
				since = e.Time
			}
		}
	}
	// User and common name are those of a session from its beginning to its end; its address may change.
	events, err := query(Filter{User: f.User, CN: f.CN, Kinds: []string{journal.KindConnect, journal.KindDisconnect}, Since: since})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(fold(merge(runs, events)), func(s Session) bool { return !f.takes(&s) }), nil
}

// merge puts the beginnings and ends of runs among the events of clients. At the same time a start comes before, and a stop after them.
func merge(runs, events []journal.Event) []journal.Event {
	all := make([]journal.Event, 0, len(runs)+len(events))
	for _, e := range events {
		for len(runs) > 0 && (runs[0].Time.Before(e.Time) || runs[0].Time.Equal(e.Time) && runs[0].Kind == journal.KindStart) {
			all, runs = append(all, runs[0]), runs[1:]
		}
		all = append(all, e)
	}
	return append(all, runs...)
}

func (f *SessionFilter) takes(s *Session) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	if !is(f.User, s.User) || !is(f.CN, s.CN) || !is(f.Address, s.Address) || f.Tunnel.IsValid() && !s.leadsTo(f.Tunnel) {
		return false
	}
	if !f.Before.IsZero() && !s.Since.Before(f.Before) {
		return false
	}
	if f.Began {
		return !s.Since.Before(f.From)
	}
	return s.Until.IsZero() || !s.Until.Before(f.From)
}

// leadsTo reports whether an address is one of the session's, or in one of its networks.
func (s *Session) leadsTo(a netip.Addr) bool {
	return slices.ContainsFunc(s.Tunnel, func(text string) bool {
		if own, err := netip.ParseAddr(text); err == nil {
			return own == a
		}
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(a)
	})
}

// fold makes sessions of the events of one daemon, which are in the order of their time.
func fold(events []journal.Event) []Session {
	type key struct {
		run int64
		cid uint64 // counted from 1; 0 for a client's own
	}
	of := func(e *journal.Event) key {
		k := key{run: e.Run}
		if e.CID != nil {
			k.cid = *e.CID + 1
		}
		return k
	}
	var list []*Session
	open := make(map[key]*Session)
	for n := range events {
		e := &events[n]
		switch e.Kind {
		case journal.KindStart, journal.KindStop:
			for k, s := range open {
				switch {
				case e.Kind == journal.KindStop && k.run == e.Run:
					s.State = SessionEnded
				case e.Kind == journal.KindStart && k.run != e.Run:
					s.State = SessionLost
				default:
					continue
				}
				s.Until = e.Time
				delete(open, k)
			}
		case journal.KindConnect:
			s := &Session{State: SessionOpen, Since: e.Time, Run: e.Run, CID: e.CID, User: e.User, CN: e.CN, Address: e.Address, Port: e.Port, Tunnel: e.Tunnel}
			open[of(e)] = s
			list = append(list, s)
		case journal.KindDisconnect:
			s := open[of(e)]
			if s == nil { // its beginning is gone
				s = &Session{
					Since: e.Time.Add(-time.Duration(e.Seconds * float64(time.Second))), Run: e.Run, CID: e.CID, User: e.User, CN: e.CN, Tunnel: e.Tunnel,
				}
				list = append(list, s)
			}
			delete(open, of(e))
			s.State, s.Until, s.Reason, s.In, s.Out, s.Seconds = SessionEnded, e.Time, e.Reason, e.In, e.Out, e.Seconds
			s.Address, s.Port = e.Address, e.Port // where it was last
		}
	}
	sessions := make([]Session, len(list))
	for n, s := range list {
		sessions[n] = *s
	}
	slices.SortStableFunc(sessions, func(a, b Session) int { return a.Since.Compare(b.Since) })
	return sessions
}
