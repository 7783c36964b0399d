package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/internal/cookie"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// admission decides whether a client may have an instance. There is one for all ways in: a cookie that came back, a client
// that cannot send its key twice, a TCP connection, a known client that starts again. The hub publishes it for the
// pre-handshake checks, which do not answer a client that the hub is sure to refuse: a client that gets no answer asks again, one that got
// one waits for the end of its hand-window.
type admission struct {
	leaving bool
	clients int           // that logged in
	max     int           // max-clients
	maxAge  time.Duration // tls-crypt-v2-max-age, 0 for none
	// creation is connect-freq. It is only read here: a client that is let in takes a token from it.
	creation *ratelimit.Bucket
}

// refuses is the log line about a client that may not come in, "" when it may. replaces says that it takes the place of
// a client that is in.
func (a *admission) refuses(f *ctrlwrap.First, from outer, replaces bool, now time.Time) string {
	switch {
	case a.leaving:
		return fmt.Sprintf("MULTI: Connection attempt from %s ignored while server is shutting down", from)
	case a.clients >= a.max && !replaces:
		return fmt.Sprintf("MULTI: new incoming connection would exceed maximum number of clients (%d)", a.max)
	case !a.creation.Ready(now):
		return "Connection Attempt exceeded --connect-freq"
	}
	if why := a.tooOld(f, now); why != "" {
		return "TLS Error: " + why
	}
	return ""
}

// tooOld is why a client key of tls-crypt-v2 is refused for its age, "" when it is not.
func (a *admission) tooOld(f *ctrlwrap.First, now time.Time) string {
	if a.maxAge == 0 || f.ClientKey == nil {
		return ""
	}
	made, ok := keys.MetadataCreation(f.Metadata)
	if !ok {
		return "tls-crypt-v2 client key without time of creation"
	}
	if age := now.Sub(made); age > a.maxAge {
		return fmt.Sprintf("tls-crypt-v2 client key is %d days old, --tls-crypt-v2-max-age allows %d", int(age.Hours()/24), int(a.maxAge.Hours()/24))
	}
	return ""
}

// arrivals is shared by the hub and the receivers of newcomers. Each part is safe for concurrent use.
type arrivals struct {
	cookies  *cookie.Jar
	answers  *ratelimit.PerPrefix // connect-freq-initial
	regulars *ratelimit.Regulars  // the same for networks whose clients were in
	gate     *atomic.Pointer[admission]
	streams  *streams
}

// publish gives the pre-handshake checks the admission in force.
func (h *hub) publish() {
	a := admission{leaving: !h.leaving.IsZero(), clients: h.clients, max: h.set.MaxClients, maxAge: h.set.TLSCryptV2MaxAge, creation: h.creation}
	if old := h.gate.Load(); old == nil || *old != a {
		h.gate.Store(&a)
	}
}

// enter lets a client in by way of in, once nothing speaks against it. A refused client gets no answer; its stream is closed.
func (h *hub) enter(n newcomer, in func(h *hub, n newcomer, now time.Time), now time.Time) {
	if h.verifying[n.from] { // the client repeats its packet while the script runs
		return
	}
	h.publish()
	a := *h.gate.Load()
	if n.replaces { // resets at the address of a client are easily forged: they take from nobody else
		a.creation = n.creation
	}
	if n.metadataGood {
		a.creation = nil // it took its token before the script ran
	}
	set := h.set
	why := a.refuses(&n.first, set.outer(n.from), n.replaces, now)
	if why == "" && !h.roomToTry(n, now) {
		why = "MULTI: too many connections that have not logged in"
	}
	if why != "" {
		h.logAt(set.outer(n.from), logging.Error, "%s", why)
		h.reaper.hangUp(n.link) // so that it does not wait for an answer
		return
	}
	a.creation.Allow(now)
	if set.TLSCryptV2Verify == "" || n.first.ClientKey == nil || n.metadataGood {
		in(h, n, now)
		return
	}
	h.verifying[n.from] = true
	h.beside(hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		err := a.verifyMetadata(ctx, set, n.first.Metadata)
		if err != nil {
			a.limitedLog(n.from.Addr.Addr(), set.outer(n.from).String(), logging.Warn, "TLS CRYPT V2 VERIFY SCRIPT ERROR: %v", err)
		}
		return func(h *hub) {
			delete(h.verifying, n.from)
			if err != nil {
				h.reaper.hangUp(n.link)
				return
			}
			n.metadataGood = true
			h.enter(n, in, time.Now())
		}
	})
}

// maxHalfOpen is how many clients may be between their first packet and their login, beside max-clients.
func maxHalfOpen(maxClients int) int { return min(max(maxClients, 64), 1024) }

// slotsFor is how many instances there may be at once.
func slotsFor(maxClients int) int { return maxClients + maxHalfOpen(maxClients) }

// tryTime is how long a client of the network that holds the most places may take for its handshake while more of that network come.
const tryTime = 2 * time.Second

// roomToTry reports whether one more client may try to log in. When all places are taken, or those of TCP connections, the network that
// holds the most of them loses its oldest: at once for a newcomer from elsewhere, after tryTime for one from there.
func (h *hub) roomToTry(n newcomer, now time.Time) bool {
	room := len(h.instances)-h.clients < maxHalfOpen(h.set.MaxClients)
	scarce := n.link.RemoteAddr().IsValid() && h.streams.scarce()
	if room && !scarce {
		return true
	}
	network, oldest := h.crowd(scarce)
	switch {
	case oldest == nil:
		return room // those that logged in hold the connections
	case network == ratelimit.Prefix(n.from.Addr.Addr()) && now.Sub(oldest.since) < tryTime:
		return false
	}
	h.logAt(h.set.outer(*oldest.peer.Load()), logging.Steps, "MULTI: connection dropped in its handshake: too many from %s", network)
	h.remove(oldest)
	return true
}
