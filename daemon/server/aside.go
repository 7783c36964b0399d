package server

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

// base holds what every goroutine of a server may use: each field is fixed when the server is made, or safe for concurrent
// use.
type base struct {
	deps    Deps
	port    Port
	scripts *hooks.Runner
	total   *engine.Totals
	opts    atomic.Pointer[config.Options]
	env     atomic.Pointer[hooks.Env] // the base of what scripts see
	slots   *slots                    // of the hooks that run at once
	members atomic.Uint64             // clients that were shown to the fleet
}

// aside is the hub's part that goroutines beside it may use: receivers, the device's reader, TLS handshakes, hooks. It does not
// change while they run. They reach the hub's own state only through functions that the inbox runs on the hub.
type aside struct {
	*base
	*inbox
	boot     *setup // of the start: what a reload cannot change
	limiter  *limiter
	working  context.Context // ended before the sessions are: verdicts about certificates do not matter then
	hooksCtx context.Context // of all other hooks
}

// inbox is how other goroutines reach the hub.
type inbox struct {
	packets chan controlPacket
	arrive  chan newcomer
	calls   chan func(*hub)
	gone    chan struct{} // closed when the hub does not work any more
	woken   struct {
		sync.Mutex
		list []*dataPath // of sessions whose handshake made progress
		poke chan struct{}
	}
}

// Queues of the hub. What does not fit is dropped: peers repeat control packets.
const (
	packetQueue = 4096
	callQueue   = 1024
	// packetShare is how many control packets at one client's address may wait: several windows of a session and its challenger.
	packetShare = 64
)

func newInbox() *inbox {
	in := &inbox{
		packets: make(chan controlPacket, packetQueue), arrive: make(chan newcomer, packetQueue), calls: make(chan func(*hub), callQueue),
		gone: make(chan struct{}),
	}
	in.woken.poke = make(chan struct{}, 1)
	return in
}

// call runs f on the hub, waits until it has, and reports whether it did. f has not run and will not when it did not: the hub is gone,
// or ctx ended before the hub came to it.
func (in *inbox) call(ctx context.Context, f func(*hub)) bool {
	done := make(chan struct{})
	var taken atomic.Bool // by the hub, which runs f, or by call, which gives it up
	select {
	case in.calls <- func(h *hub) {
		if taken.CompareAndSwap(false, true) {
			f(h)
			close(done)
		}
	}:
	case <-ctx.Done():
		return false
	case <-in.gone:
		return false
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-in.gone:
	}
	if taken.CompareAndSwap(false, true) {
		return false
	}
	<-done
	return true
}

// post has the hub run f soon. It is for goroutines that work for the hub, such as hooks.
func (in *inbox) post(f func(*hub)) {
	select {
	case in.calls <- f:
	case <-in.gone:
	}
}

// tell has the hub run f if its queue has room; the data plane never waits for it.
func (in *inbox) tell(f func(*hub)) {
	select {
	case in.calls <- f:
	default:
	}
}

// toHub passes a control packet on, or drops it when the hub has enough, of all clients or of this one: anyone can write a client's
// address on packets.
func (in *inbox) toHub(c controlPacket) {
	if c.to.queued.Add(1) <= packetShare {
		select {
		case in.packets <- c:
			return
		default:
		}
	}
	c.to.queued.Add(-1)
}

// waiting yields the newcomers that wait for the hub, which calls it.
func (in *inbox) waiting(yield func(newcomer) bool) {
	for {
		select {
		case n := <-in.arrive:
			if !yield(n) {
				return
			}
		default:
			return
		}
	}
}

// admit passes a newcomer on, or drops it.
func (in *inbox) admit(n newcomer) {
	select {
	case in.arrive <- n:
	default:
	}
}

// waker returns the function that the session of d calls when its TLS handshake has made progress. It may be called from any
// goroutine.
func (in *inbox) waker(d *dataPath, hs *handshake) func() {
	return func() {
		if !hs.awake.CompareAndSwap(false, true) {
			return
		}
		in.woken.Lock()
		in.woken.list = append(in.woken.list, d)
		in.woken.Unlock()
		select {
		case in.woken.poke <- struct{}{}:
		default:
		}
	}
}
