package server

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/cookie"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/server/pool"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// hub owns the control plane: every instance, the pool, the routes. Its methods run on one goroutine, that of run.
type hub struct {
	*aside
	carried     *carried
	set         *setup // in force; a reload replaces it
	plane       *plane
	proto       *ctrlwrap.Prototype
	occ         string // of our key messages
	pool        *pool.Pool
	table       *table
	routes      *forward.Table[*instance]
	stations    *forward.Stations[*instance]
	cookies     *cookie.Jar
	answers     *ratelimit.PerPrefix // connect-freq-initial
	creation    *ratelimit.Bucket    // connect-freq
	gate        *atomic.Pointer[admission]
	streams     *streams
	hooks       sync.WaitGroup
	stopHooks   context.CancelFunc // ends hooksCtx
	turns       turns
	clients     int // that logged in
	established int
	commanded   bool // a command of the port is executed
	handshakes  int  // since memory was given back
	swept       struct {
		pool, stale, lost time.Time
		handshakes        int // as of the last sweep
	}
	instances map[uint64]*instance    // by cid
	verifying map[transport.Peer]bool // newcomers about whom tls-crypt-v2-verify is asked
	byName    map[string]map[*instance]struct{}
	due       deadlines
	nextCID   uint64
	leaving   time.Time // shutting down; newcomers are ignored
	out       [1][]byte

	reaper sync.WaitGroup // sessions that are being closed
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
	i := p.to
	if i == nil || i.phase == gone {
		return
	}
	if p.from != *i.peer.Load() {
		return // control packets never move a client
	}
	var err error
	h.contained(i, func() { err = i.session.Input(p.b, now) })
	if i.phase == gone {
		return
	}
	if err != nil && i.rival != nil {
		r := i.rival
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
	for _, i := range list {
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
	for i.phase != gone {
		var at time.Time
		if h.contained(i, func() { at = i.session.Step(now) }); i.phase == gone {
			return
		}
		e, ok := i.session.Event()
		if !ok {
			h.flush(i, now)
			h.due.set(i, at)
			return
		}
		i.stepping = true
		for ok && i.phase != gone {
			h.event(i, e, now)
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
	for i.phase != gone {
		e, ok := i.session.Event()
		if !ok {
			break
		}
		h.event(i, e, now)
	}
	i.stepping = false
	h.wakeAt(i, now)
}

// flush sends what the session has ready.
func (h *hub) flush(i *instance, now time.Time) {
	for {
		pkt, ok := i.session.Next()
		if !ok {
			return
		}
		h.out[0] = pkt
		if err := i.link.Send(*i.peer.Load(), h.out[:]); err != nil {
			h.plane.notice(err)
		}
		h.total.Out.Add(uint64(len(pkt)))
		i.sent(len(pkt), now)
	}
}

// text sends a text message and logs it.
func (h *hub) text(i *instance, msg string, now time.Time) {
	status := 1
	if err := i.session.SendText(msg); err != nil {
		status = 0
	}
	h.log(i, 3, "", "SENT CONTROL [%s]: '%s' (status=%d)", undef(i.commonName), message.Redact(msg), status)
	h.flush(i, now)
	h.wakeAt(i, now) // Step finds the next retransmission
}

// wakeAt has an instance stepped at a time, or earlier when it wants that anyway.
func (h *hub) wakeAt(i *instance, at time.Time) {
	if i.phase != gone && (i.heapIndex < 0 || at.Before(i.deadline)) {
		h.due.set(i, at)
	}
}

// closeLater ends an instance after the grace that lets the peer fetch our last message.
func (h *hub) closeLater(i *instance, why session.Leaving, now time.Time) {
	if i.session.Leave(why, now.Add(closeGrace)) {
		h.log(i, 3, "", "Delayed exit in %d seconds", int(closeGrace/time.Second))
		h.wakeAt(i, now)
	}
}

// closeGrace is how long an instance stays after AUTH_FAILED, EXIT or a kill.
const closeGrace = 5 * time.Second

// deadlines is a heap of instances by the time they want to be stepped.
type deadlines []*instance

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(a, b int) bool { return d[a].deadline.Before(d[b].deadline) }
func (d deadlines) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].heapIndex, d[b].heapIndex = a, b
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	i := x.(*instance)
	i.heapIndex = len(*d)
	*d = append(*d, i)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	old := *d
	i := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	i.heapIndex = -1
	return i
}

// set enters, moves or, with the zero time, takes out an instance.
func (d *deadlines) set(i *instance, at time.Time) {
	switch {
	case at.IsZero() && i.heapIndex >= 0:
		heap.Remove(d, i.heapIndex)
	case at.IsZero():
	case i.heapIndex >= 0:
		i.deadline = at
		heap.Fix(d, i.heapIndex)
	default:
		i.deadline = at
		heap.Push(d, i)
	}
}

func (d deadlines) first() (time.Time, bool) {
	if len(d) == 0 {
		return time.Time{}, false
	}
	return d[0].deadline, true
}
