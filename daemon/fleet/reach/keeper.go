package reach

import (
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

const (
	// retryEvery is how often what failed is tried again.
	retryEvery = 10 * time.Second
	// tellEvery is how often the log hears of failures.
	tellEvery = time.Minute
)

// keeper makes the system what is wanted, one prefix after another, on a goroutine of its own.
type keeper struct {
	set func(p netip.Prefix, on bool) error // nil when it is so, or was
	log logging.Func

	mu     sync.Mutex // guards what follows
	wanted map[netip.Prefix]struct{}
	dirty  map[netip.Prefix]struct{}

	poke chan struct{}
	stop chan struct{}
	over chan struct{}
}

func newKeeper(log logging.Func, set func(p netip.Prefix, on bool) error) *keeper {
	k := &keeper{
		set: set, log: log.OrDiscard(), wanted: make(map[netip.Prefix]struct{}), dirty: make(map[netip.Prefix]struct{}),
		poke: make(chan struct{}, 1), stop: make(chan struct{}), over: make(chan struct{}),
	}
	go k.run()
	return k
}

// want says what is wanted of a prefix from now on.
func (k *keeper) want(p netip.Prefix, on bool) {
	k.mu.Lock()
	if on {
		k.wanted[p] = struct{}{}
	} else {
		delete(k.wanted, p)
	}
	k.dirty[p] = struct{}{}
	k.mu.Unlock()
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// close takes everything back and waits until it is.
func (k *keeper) close() {
	close(k.stop)
	<-k.over
}

func (k *keeper) run() {
	defer close(k.over)
	done := make(map[netip.Prefix]struct{})
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	var told time.Time
	change := func(p netip.Prefix, on bool) bool {
		if _, is := done[p]; is == on {
			return true
		}
		if err := k.set(p, on); err != nil {
			if time.Since(told) >= tellEvery {
				told = time.Now()
				k.log(logging.Warn, "fleet-route: %s: %v", p, err)
			}
			return false
		}
		if on {
			done[p] = struct{}{}
		} else {
			delete(done, p)
		}
		return true
	}
	failed := make(map[netip.Prefix]struct{})
	for {
		select {
		case <-k.poke:
		case <-retry.C:
			k.mu.Lock()
			for p := range failed {
				k.dirty[p] = struct{}{}
			}
			k.mu.Unlock()
		case <-k.stop:
			for p := range done {
				change(p, false)
			}
			return
		}
		k.mu.Lock()
		dirty := k.dirty
		k.dirty = make(map[netip.Prefix]struct{})
		k.mu.Unlock()
		clear(failed)
		for p := range dirty {
			k.mu.Lock()
			_, on := k.wanted[p]
			k.mu.Unlock()
			if !change(p, on) {
				failed[p] = struct{}{}
			}
		}
	}
}
