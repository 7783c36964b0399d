package web

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/moongate-vpn/moongate/mgmt/httplimit"
)

// Limits of guesses at passwords. Those of all networks together are the ones that a password has to withstand.
const (
	guessesAtOnce    = 5
	guessPause       = time.Second // one more comes back in each
	allGuessesAtOnce = 100
	allGuessPause    = 100 * time.Millisecond
	guessersMost     = 1024 // networks that are remembered
)

// guesses bounds attempts by the network they come from, so that one that guesses keeps no other from logging in.
type guesses struct {
	all  *rate.Limiter
	from map[netip.Prefix]*rate.Limiter
}

func newGuesses() guesses {
	return guesses{all: rate.NewLimiter(rate.Every(allGuessPause), allGuessesAtOnce), from: make(map[netip.Prefix]*rate.Limiter)}
}

// allow reports whether an attempt from an address may be made.
func (g *guesses) allow(from netip.Addr, now time.Time) bool {
	network := httplimit.Network(from)
	l := g.from[network]
	if l == nil {
		if len(g.from) >= guessersMost {
			g.forget(now)
		}
		if len(g.from) >= guessersMost {
			return false
		}
		l = rate.NewLimiter(rate.Every(guessPause), guessesAtOnce)
		g.from[network] = l
	}
	return l.AllowN(now, 1) && g.all.AllowN(now, 1)
}

// forget drops networks that have all their attempts back.
func (g *guesses) forget(now time.Time) {
	for network, l := range g.from {
		if l.TokensAt(now) >= guessesAtOnce {
			delete(g.from, network)
		}
	}
}
