package web

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// One network that guesses keeps no other out, and many networks together have a limit as well.
func TestGuessesOfNetworks(t *testing.T) {
	now := time.Now()
	g := newGuesses()
	tries := func(n int, from string, at time.Time) (allowed int) {
		for range n {
			if g.allow(netip.MustParseAddr(from), at) {
				allowed++
			}
		}
		return allowed
	}
	if n := tries(50, "192.0.2.7", now); n != guessesAtOnce {
		t.Errorf("%d guesses at once", n)
	}
	if n := tries(50, "::ffff:192.0.2.7", now); n != 0 {
		t.Errorf("%d more by another spelling", n)
	}
	if n := tries(1, "192.0.2.8", now); n != 1 {
		t.Error("a neighbour is kept out")
	}
	if n := tries(50, "192.0.2.7", now.Add(3*guessPause)); n != 3 {
		t.Errorf("%d come back in three pauses", n)
	}
	if n := tries(5, "2001:db8::1", now) + tries(5, "2001:db8::2", now); n != guessesAtOnce {
		t.Errorf("%d guesses from one IPv6 network", n)
	}
	now = now.Add(time.Hour)
	all := 0
	for n := range 3 * guessersMost {
		all += tries(1, fmt.Sprintf("10.0.%d.%d", n/250, n%250), now)
	}
	if all != allGuessesAtOnce || len(g.from) > guessersMost {
		t.Errorf("%d guesses from everywhere, %d networks are remembered", all, len(g.from))
	}
	if n := tries(1, "192.0.2.7", now.Add(time.Minute)); n != 1 {
		t.Error("old networks are not forgotten")
	}
}
