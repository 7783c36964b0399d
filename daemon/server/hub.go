package server

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// hub owns the control plane. Its methods and those of its parts run on one goroutine, that of run:
//
//	clientLog   lines about clients
//	errands     scripts and what else takes time
//	links       packets and texts to clients, and when to step each
//	roster      who is here
//	routing     which client an address leads to
//	arrivals    the part about newcomers that receivers share
//	pool        the addresses of clients
type hub struct {
	*clientLog
	errands
	links
	roster
	routing
	arrivals
	carried   *carried
	set       *setup // in force; a reload replaces it
	proto     *ctrlwrap.Prototype
	pool      leases
	creation  *ratelimit.Bucket // connect-freq
	swept     swept
	verifying map[transport.Peer]bool // newcomers about whom tls-crypt-v2-verify is asked
	dropped   map[string]uint64       // packets of clients that are gone, by reason
	leaving   time.Time               // shutting down; newcomers are ignored
	goodbye   string                  // what clients are told then, those whose key is up later, too

	reaper reaper
}

// run works until ctx ends.
func (h *hub) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	defer h.reaper.Wait()
	for {
		if at, ok := h.due.first(); ok {
			timer.Reset(max(time.Until(at), 0))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case p := <-h.packets:
			p.to.queued.Add(-1)
			h.input(p, time.Now())
		case n := <-h.arrive:
			h.newcomer(n, time.Now())
		case f := <-h.calls:
			f(h)
		case <-h.woken.poke:
			h.wake(time.Now())
		case <-timer.C:
			h.expire(time.Now())
		case <-sweep.C:
			h.sweep(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// input hands a control packet to its session.
func (h *hub) input(p controlPacket, now time.Time) {
	i := h.of(p.to)
	if i == nil || i.stage == session.Gone {
		return
	}
	if p.from != *i.peer.Load() {
		return // control packets never move a client
	}
	var err error
	h.contained(i, func() { err = i.session.Input(p.b, now) })
	if i.stage == session.Gone {
		return
	}
	if err != nil && i.challenger != nil {
		r := i.challenger
		taken := false
		h.contained(r, func() { taken = r.session.Input(p.b, now) == nil })
		if taken {
			h.step(r, now)
			return
		}
	}
	if err != nil {
		if !h.restart(i, p, now) {
			h.badControl(i, err)
		}
		return
	}
	i.counts.LinkIn.Add(uint64(len(p.b)))
	i.counts.Heard(now)
	h.step(i, now)
}

// wake steps the sessions whose handshakes got somewhere.
func (h *hub) wake(now time.Time) {
	h.woken.Lock()
	list := h.woken.list
	h.woken.list = nil
	h.woken.Unlock()
	for _, d := range list {
		i := h.of(d)
		i.awake.Store(false)
		h.step(i, now)
	}
}

// expire steps the instances whose deadline has come.
func (h *hub) expire(now time.Time) {
	for {
		at, ok := h.due.first()
		if !ok || at.After(now) {
			return
		}
		h.step(h.due[0], now)
	}
}

// step moves the session of an instance until it has nothing more to say: what happened, what it wants to send, when to
// come back. Packets leave after the events: with our key message in its hands a client sends under the new key, which has
// to be there by then.
func (h *hub) step(i *instance, now time.Time) {
	for i.stage != session.Gone {
		var at time.Time
		if h.contained(i, func() { at = i.session.Step(now) }); i.stage == session.Gone {
			return
		}
		e, ok := i.session.Event()
		if !ok {
			h.flush(i, now)
			h.due.set(i, at)
			return
		}
		i.stepping = true
		for ok {
			h.event(i, e, now)
			if i.stage == session.Gone {
				return // the session is being closed elsewhere
			}
			e, ok = i.session.Event()
		}
		i.stepping = false
	}
}

// settle acts on what a verdict about an instance led to, at once, but for one that an event led to: those are in order.
func (h *hub) settle(i *instance, now time.Time) {
	if i.stepping {
		return
	}
	i.stepping = true
	for i.stage != session.Gone {
		e, ok := i.session.Event()
		if !ok {
			break
		}
		h.event(i, e, now)
	}
	i.stepping = false
	h.wakeAt(i, now)
}
