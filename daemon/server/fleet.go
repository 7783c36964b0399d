package server

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// Fleet shares addresses, limits and orders with other servers. *fleet.Member is one.
type Fleet interface {
	// Begin lets a client in and finds it a slot of the pool, -1 for none. It may wait until ctx ends.
	Begin(ctx context.Context, c fleet.Client) (slot int, err error)
	// BeginNow is Begin for a client that need not wait. It reports false, and has done nothing, for one that must, or may not come in.
	BeginNow(c fleet.Client) (slot int, ok bool)
	// Forgo tells that a client needs no slot, and End that it is gone. They return at once.
	Forgo(id uint64)
	End(id uint64, cleanly bool)
	// File is the configuration that all nodes have for a common name, "" for the lines that every client gets. It does not wait.
	File(name string) (text string, ok bool)
}

// fleetPatience bounds a newcomer's wait for the fleet. Then it gets an address of this node's slice of the pool.
const fleetPatience = hooks.Limit(time.Second)

// nextRemote sends a client to its next remote.
const nextRemote = "RESTART,[N]"

// FleetPool describes the pool of a server for a fleet: its size, 0 without one, and its addresses.
func FleetPool(o *config.Options) (slots int, describe string, err error) {
	s := &setup{Options: o, prof: &o.Connections[0]}
	cfg, ok := s.poolConfig()
	if !ok {
		return 0, "", nil
	}
	slots, err = cfg.Size()
	return slots, cfg.Describe(), err
}

// inFleet is a client as the fleet sees it.
func (s *setup) inFleet(i *instance) fleet.Client {
	c := fleet.Client{
		ID: i.member, Identity: i.commonName, User: "cn " + i.commonName, CommonName: i.commonName, Account: i.username, Serial: i.serial,
		Since: time.Now(), Returning: i.logins.byToken,
	}
	var token string
	if !i.token.Initial.IsZero() {
		token = "token " + hex.EncodeToString(i.token.Session[:])
	}
	switch {
	case s.DuplicateCN:
		c.Identity, c.Mark = token, token // no client is remembered by its name
	case i.certName != "":
		c.Mark = "certificate " + hex.EncodeToString(i.chain[:16])
	default:
		c.Mark = token
	}
	if s.Fleet.Limit > 0 {
		c.User = "cn " + i.commonName
		if i.username != "" {
			c.User = "user " + i.username
		}
	}
	if i.commonName == "" && i.username == "" {
		c.User = "" // nobody to be counted
	}
	return c
}

// askFleet asks the fleet for a client's address, and whether it may come in.
func (h *hub) askFleet(i *instance) {
	i.member = h.members.Add(1)
	c := h.set.inFleet(i)
	if slot, ok := h.deps.Fleet.BeginNow(c); ok {
		h.fleetAnswered(i, slot, nil, time.Now())
		return
	}
	h.beside(fleetPatience, func(ctx context.Context, a *aside) func(*hub) {
		slot, err := a.deps.Fleet.Begin(ctx, c)
		select {
		case <-a.gone:
			a.deps.Fleet.End(c.ID, false) // nobody hears of it
		default:
		}
		return func(h *hub) { h.fleetAnswered(i, slot, err, time.Now()) }
	})
}

// fleetAnswered goes on with a client that the fleet has decided about.
func (h *hub) fleetAnswered(i *instance, slot int, err error, now time.Time) {
	if i.stage == session.Gone {
		h.deps.Fleet.End(i.member, false)
		return
	}
	switch {
	case i.stage != session.Authorised || i.session.Leaving() != session.Stays:
		return // it is on its way out
	case errors.Is(err, fleet.ErrBanned), errors.Is(err, fleet.ErrRevoked), errors.Is(err, fleet.ErrLimit):
		h.reject(i, &refusal{log: err.Error(), line: "FLEET: " + err.Error(), level: logging.Info, client: err.Error()}, now)
		return
	case errors.Is(err, fleet.ErrDraining), errors.Is(err, fleet.ErrOut):
		h.sendOn(i, err, now)
		return
	case errors.Is(err, fleet.ErrEnded):
		h.end(i, "fleet")
		return
	case err != nil:
		h.log(i, logging.Error, "MULTI: %v", err)
	case slot >= 0:
		if err := h.pool.claim(i, h.set, slot); err != nil {
			h.log(i, logging.Error, "MULTI: %v", err)
			h.forgo(i)
		}
	}
	h.configure(i)
}

// shares reports whether the nodes of a fleet, which may be nil, have a file in common for a client of a name, or refuse it without.
func (s *setup) shares(f Fleet, cn string) bool {
	if f == nil {
		return false
	}
	for _, name := range []string{"", cn, defaultFile} {
		if _, ok := f.File(name); ok {
			return true
		}
	}
	return s.CCDExclusive
}

// sendOn sends a client to another node.
func (h *hub) sendOn(i *instance, why error, now time.Time) {
	h.log(i, logging.Steps, "FLEET: %v: the client is sent to its next remote", why)
	h.closeLater(i, session.SentAway, now)
	h.text(i, nextRemote, now)
}

// forgo tells the fleet that a client needs no address.
func (b *base) forgo(i *instance) {
	if i.member > 0 {
		b.deps.Fleet.Forgo(i.member)
	}
}

// leaveFleet tells the fleet that a client is gone, and its address free.
func (b *base) leaveFleet(i *instance) {
	if i.member > 0 {
		b.deps.Fleet.End(i.member, i.session.Leaving() == session.SaidGoodbye && i.ending != endDrained)
	}
}

// An Ending is a client that the fleet ends.
type Ending struct {
	ID  uint64
	Why fleet.Reason
}

// EndForFleet ends clients for the fleet's reasons. The fleet gives their addresses away when it hears that they have ended.
func (s *Server) EndForFleet(list []Ending) {
	asked := s.do(func(h *hub) {
		now := time.Now()
		by := make(map[uint64]*instance, len(h.instances))
		for _, i := range h.instances {
			by[i.member] = i
		}
		for _, e := range list {
			if i := by[e.ID]; i != nil {
				h.endForFleet(i, e.Why, now)
			} else {
				h.deps.Fleet.End(e.ID, false)
			}
		}
	})
	if !asked {
		for _, e := range list {
			s.deps.Fleet.End(e.ID, false) // a server that does not serve has ended all its clients
		}
	}
}

func (h *hub) endForFleet(i *instance, why fleet.Reason, now time.Time) {
	h.log(i, logging.Steps, "FLEET: the client is ended: %s", why)
	switch why {
	case fleet.Killed, fleet.Banned, fleet.Revoked:
		h.recordKill(i)
		h.finish(i, "")
	case fleet.Lost, fleet.Expired:
		i.ending = cmp.Or(i.ending, string(why))
		h.closeLater(i, session.SentAway, now)
		h.text(i, "RESTART", now)
		h.pool.drop(i)
	default:
		h.end(i, "fleet-"+string(why))
	}
}

// Paces of a drain.
const (
	drainTick = 50 * time.Millisecond
	drainPace = 100 // clients a second, more where the deadline asks for it
)

// Drain sends all clients to their next remote, at a pace that leaves half of the time until the deadline for the last of them, and then
// ends those that are left. It returns when nobody is left, with the number of clients that it ended, or when ctx ends.
func (s *Server) Drain(ctx context.Context, deadline time.Duration) (ended int) {
	until := time.Now().Add(deadline)
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	pace := 0.0
	due := 0.0
	for {
		left := 0 // where the hub does not work any more
		s.do(func(h *hub) {
			now := time.Now()
			if pace == 0 {
				pace = max(drainPace, 2*float64(h.clients)/deadline.Seconds())
			}
			due += pace * drainTick.Seconds()
			left = 0
			for _, i := range h.instances {
				switch {
				case i.stage < session.Authorised:
				case now.After(until):
					ended++
					i.ending = cmp.Or(i.ending, endDrained)
					h.end(i, endDrained)
				case i.stage == session.Established && i.session.Leaving() == session.Stays && due >= 1:
					due--
					left++
					i.ending = cmp.Or(i.ending, endDrained)
					h.closeLater(i, session.SentAway, now)
					h.text(i, nextRemote, now)
				default:
					left++
				}
			}
			due = min(due, 1)
		})
		if left == 0 {
			return ended
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ended
		}
	}
}
