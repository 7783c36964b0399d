package web

import (
	"net/netip"
	"time"
)

// Limits of guesses at passwords: for each network, and for all together, which is what a password has to withstand.
const (
	guessesAtOnce    = 5
	guessPause       = time.Second // one more comes back in each
	allGuessesAtOnce = 100
	allGuessPause    = 100 * time.Millisecond
	guessersMost     = 1024 // networks that are remembered
)

// allowance is how many attempts are used up.
type allowance struct {
	used  int
	since time.Time
}

// take takes one of most attempts, of which one comes back in each pause. It reports whether there was one.
func (a *allowance) take(now time.Time, most int, pause time.Duration) bool {
	if back := int(now.Sub(a.since) / pause); back > 0 {
		a.used, a.since = max(0, a.used-back), now
	}
	if a.used >= most {
		return false
	}
	a.used++
	return true
}

// guesses bounds attempts by the network they come from, so that one that guesses keeps no other from logging in.
type guesses struct {
	all  allowance
	from map[netip.Prefix]*allowance
}

// allow reports whether an attempt from an address may be made.
func (g *guesses) allow(from netip.Addr, now time.Time) bool {
	bits := 64
	if from = from.Unmap(); from.Is4() {
		bits = 32
	}
	network, _ := from.Prefix(bits) // the zero prefix for no address
	a := g.from[network]
	if a == nil {
		if len(g.from) >= guessersMost {
			g.forget(now)
		}
		if len(g.from) >= guessersMost {
			return false
		}
		a = new(allowance)
		g.from[network] = a
	}
	return a.take(now, guessesAtOnce, guessPause) && g.all.take(now, allGuessesAtOnce, allGuessPause)
}

// forget drops networks that have all their attempts back.
func (g *guesses) forget(now time.Time) {
	for network, a := range g.from {
		if now.Sub(a.since) > guessesAtOnce*guessPause {
			delete(g.from, network)
		}
	}
}
